"""Who may apply, and from where: the position and lanes that commit with the rows."""

import os
import socket
from collections.abc import Iterable
from typing import Any

import msgspec
import psycopg

from projector.control_tables import Projection, State
from projector.sql import query
from schemas.errors import FerryError
from schemas.lane import LaneHead, LaneId


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


def claim(conn: psycopg.Connection[Any], projection: Projection, state: State) -> Claim:
    """Take every partition of a projection that is in `state`, fencing whoever had them.

    Raises: ProjectionHeld where the projection is in another state.
    """
    holder = f"{socket.gethostname()} process {os.getpid()}"
    with conn.transaction():
        rows = conn.execute(
            query("checkpoint_claim"),
            {"projection": projection.name, "holder": holder, "state": state},
        ).fetchall()
        conn.execute(query("projection_notify"), (projection.name,))  # nothing is stopped any more
        lanes = conn.execute(
            query("lanes_read"), (projection.name, projection.generation)
        ).fetchall()
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


def require_held(conn: psycopg.Connection[Any], held: Claim) -> None:
    """Check that nobody took the projection over: one that has nothing to apply learns it so.

    Raises: Fenced.
    """
    rows = conn.execute(query("checkpoint_read"), (held.projection.name,)).fetchall()
    if {partition: term for partition, *_, term in rows} != held.terms:
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
