"""Who may apply, and from where: the position and lanes that commit with the rows."""

import os
import socket
from collections.abc import Callable, Collection, Iterable
from typing import Any, TypeVar

import msgspec
import psycopg

from projector.control_tables import Projection, State
from projector.fingerprint import made_with
from projector.sql import query
from schemas.errors import FerryError
from schemas.lane import LaneHead, LaneId

_PATIENCE_MS = 5_000
"""How long a projector may stand still within a transaction that somebody waits for."""
Result = TypeVar("Result")


class Fenced(FerryError):
    """Another projector or a replay took the projection over; this one must not commit."""


class ProjectionHeld(FerryError):
    """The projection stays at its position; nobody may apply to it."""


class Claim(msgspec.Struct):
    """A right to apply: for each partition its term and next offset, and the applied lanes."""

    projection: Projection
    terms: dict[int, int]
    offsets: dict[int, int]
    lanes: dict[LaneId, LaneHead]
    tails: dict[int, str] = {}
    """SHA-256 in hex of the record just below each offset, where one is known."""


def claim(
    conn: psycopg.Connection[Any],
    projection: Projection,
    state: State,
    partitions: Collection[int] | None = None,
) -> Claim:
    """Take partitions of a projection that is in `state`, fencing whoever had them.

    Without `partitions` all are taken. Waits for a commit under way, and goes on behind it.
    Raises: ProjectionHeld where the projection is in another state, or of other code by now.
    """

    def take() -> tuple[list[Any], list[Any]]:
        rows = conn.execute(
            query("checkpoint_claim"),
            {
                "projection": projection.name,
                "holder": f"{socket.gethostname()} process {os.getpid()}",
                "state": state,
                "partitions": None if partitions is None else list(partitions),
            },
        ).fetchall()
        if not made_with(conn, projection.name, projection.code):
            raise ProjectionHeld(
                f"the rows of projection {projection.name!r} are made with other code by now",
                where="memferry.fingerprint",
                remedy="start this projector anew, with the code that made them",
            )
        conn.execute(query("projection_notify"), (projection.name,))  # nothing is stopped any more
        lanes = conn.execute(
            query("lanes_claimed"),
            (projection.name, projection.generation, [partition for partition, *_ in rows]),
        ).fetchall()
        return rows, lanes

    rows, lanes = past_zombies(conn, projection.name, take)
    if not rows:
        raise ProjectionHeld(
            f"projection {projection.name!r} is not {state}",
            where="memferry.projection",
            remedy="`memferry status` says what holds it; `memferry replay --to-end` lets it go on",
        )
    return Claim(
        projection,
        {partition: term for partition, term, *_ in rows},
        {partition: offset for partition, _, offset, _ in rows},
        {
            LaneId(source, projection.generation, partition): LaneHead(seq, digest, epoch)
            for source, partition, seq, digest, epoch in lanes
        },
        {partition: tail for partition, _, _, tail in rows if tail},
    )


def past_zombies(
    conn: psycopg.Connection[Any], projection: str, work: Callable[[], Result]
) -> Result:
    """Do work on checkpoints in a transaction; return what it returns.

    A process that stands still within a transaction keeps its locks, though Kafka has long given
    its partitions away: where one is in the way for longer than a batch takes, its connection is
    ended. What it had not committed is applied by whoever comes next.
    """
    try:
        with conn.transaction():
            conn.execute(query("patience"), (f"{_PATIENCE_MS}ms",))
            return work()
    except psycopg.errors.LockNotAvailable:
        conn.execute(query("checkpoint_release"), (projection,))
        with conn.transaction():
            return work()


def last_applied(
    conn: psycopg.Connection[Any], projection: str
) -> tuple[dict[int, int], dict[int, str]]:
    """Return every partition's next offset, and of those where it is known the record below it.

    Shape:  (partition → offset, exclusive; partition → SHA-256 in hex).
    """
    rows = conn.execute(query("checkpoint_tails"), (projection,)).fetchall()
    offsets = {partition: offset for partition, offset, _, _ in rows}
    return offsets, {partition: tail for partition, _, tail, _ in rows if tail}


def offsets_of(conn: psycopg.Connection[Any], projection: str) -> dict[int, int]:
    """Return the position of a projection's tables: partition → the first offset not applied."""
    rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
    return {row[0]: row[1] for row in rows}


def all_stopped(conn: psycopg.Connection[Any], projection: str) -> bool:
    """Return whether every partition of a projection has stopped, whoever has it."""
    rows = conn.execute(query("checkpoint_tails"), (projection,)).fetchall()
    return all(stopped for *_, stopped in rows)


def advance(
    conn: psycopg.Connection[Any],
    held: Claim,
    offsets: dict[int, tuple[int, int, str]],
    lanes: Iterable[tuple[LaneId, LaneHead]],
) -> None:
    """Record, in the caller's transaction, that everything below the new offsets is in the tables.

    Shape:   offsets are partition → (old, new, tail); `new` is the first one not applied, `tail`
             the SHA-256 in hex of the record before it, empty where that is not known.
    Raises:  Fenced when another projector or a replay moved the row first: the caller must abort.
    """
    heads = list(lanes)
    row = conn.execute(
        query("checkpoint_advance"),
        {
            "projection": held.projection.name,
            "generation": held.projection.generation,
            "partitions": list(offsets),
            "terms": [held.terms[partition] for partition in offsets],
            "old": [old for old, _, _ in offsets.values()],
            "new": [new for _, new, _ in offsets.values()],
            "tails": [tail for _, _, tail in offsets.values()],
            "lane_sources": [lane.source for lane, _ in heads],
            "lane_partitions": [lane.partition for lane, _ in heads],
            "lane_seqs": [head.seq for _, head in heads],
            "lane_digests": [head.digest for _, head in heads],
            "lane_epochs": [head.epoch for _, head in heads],
        },
    ).fetchone()
    if row is None or row[0] != len(offsets) or row[1] != len(heads):
        raise _taken_over(held, offsets)


def hold(conn: psycopg.Connection[Any], held: Claim, partition: int) -> None:
    """Make sure, until the caller's transaction ends, that nobody else may apply to a partition.

    Raises: Fenced where somebody took it over: the caller must abort.
    """
    row = conn.execute(
        query("checkpoint_hold"),
        (held.projection.name, partition, held.terms[partition], held.offsets[partition]),
    ).fetchone()
    if row is None:
        raise _taken_over(held, [partition])


def require_held(conn: psycopg.Connection[Any], held: Claim) -> None:
    """Check that nobody took the claim's partitions over: for one that has nothing to apply.

    Raises: Fenced.
    """
    rows = conn.execute(query("checkpoint_read"), (held.projection.name,)).fetchall()
    terms = {partition: term for partition, *_, term in rows}
    if any(terms.get(partition) != term for partition, term in held.terms.items()):
        raise _taken_over(held, held.terms)


def _taken_over(held: Claim, partitions: Iterable[int]) -> Fenced:
    return Fenced(
        f"projection {held.projection.name!r} was taken over: this projector's term has passed",
        where=f"partitions {sorted(partitions)}",
        remedy="nothing is lost; the one that took it over goes on from the checkpoint",
    )


def stop_partition(conn: psycopg.Connection[Any], held: Claim, partition: int, reason: str) -> None:
    """Note why a partition goes no further, for `memferry status`; a later claim clears it."""
    conn.execute(
        query("checkpoint_stop"),
        {
            "projection": held.projection.name,
            "partition": partition,
            "term": held.terms[partition],
            "reason": reason,
        },
    )
