"""The voids that PostgreSQL knows, and which of them the rows of a projection obey.

What is void is the control topic's to say (projector/control_topic.py). Rows were made with some of
that: a projection takes over a void, or the reversal of one, as long as it has applied nothing that
is concerned; what it did otherwise only other tables can put right.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from projector.checkpoint import past_zombies
from projector.control_tables import State
from projector.sql import query
from schemas.errors import FerryError
from schemas.void import Void, Voids

Place = tuple[str, str]
"""A void's id and its source."""
_Heads = Mapping[tuple[str, int, int], int]
_decode = msgspec.json.Decoder(Void).decode


class VoidMissing(FerryError):
    """Rows obey a void that the control topic does not know."""


class VoidRecord(msgspec.Struct, frozen=True):
    """One source's part of a void as it was decided, and when it was reversed, if it was."""

    void: Void
    voided_at: datetime.datetime
    actor: str
    reason: str
    restored_at: datetime.datetime | None
    restored_by: str


class _Known(NamedTuple):
    void: Void
    counts: bool
    """Whether it is in force, as the one who asks would have it."""


def list_voids(conn: psycopg.Connection[Any], topic: str) -> list[VoidRecord]:
    """Return every void of a topic (its base name), reversed ones too, in the order of time."""
    rows = conn.execute(query("voids_read"), (topic,)).fetchall()
    return [VoidRecord(_decode(row[0]), *row[1:]) for row in rows]


def in_force(conn: psycopg.Connection[Any], topic: str, generation: int) -> Voids:
    """Return what a fold of the log obeys: all voids but those that were reversed."""
    known = _known(conn, topic)
    return _voids(generation, known, {place for place, one in known.items() if one.counts})


def obeyed_places(conn: psycopg.Connection[Any], projection: str) -> set[Place]:
    """Return which voids the rows of a projection obey, by name."""
    row = conn.execute(query("voids_obeyed"), (projection,)).fetchone()
    return {(name, source) for name, source in row[0]} if row else set()


def obeyed_by(
    conn: psycopg.Connection[Any],
    topic: str,
    generation: int,
    projection: str,
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
) -> Voids:
    """Return what the rows of a projection obey.

    `assumed` are voids that are prepared, `lifted` the ids of those that are taken for reversed:
    the same that were given to `adopt`. Where PostgreSQL knows a void by now, its end is known.
    Raises: VoidMissing.
    """
    assumed = tuple(assumed)
    known = _known(conn, topic, assumed, lifted)
    obeyed = {place for place in obeyed_places(conn, projection) if place[0] not in lifted}
    obeyed |= {(void.id, void.source) for void in assumed}
    missing = obeyed - known.keys()
    if missing:
        name, source = min(missing)
        raise VoidMissing(
            f"the rows obey void {name} of source {source}, which was never decided",
            where=f"memferry.projection, name {projection}",
            remedy="`memferry replay --to-end` makes them anew",
        )
    return _voids(generation, known, obeyed)


def adopt(
    conn: psycopg.Connection[Any],
    topic: str,
    projection: str,
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
    state: State | None = None,
) -> bool:
    """Have rows obey what is in force, where they hold nothing yet of what is concerned.

    Whoever claimed the projection before can commit no more, where something is taken over. Nothing
    is where the projection is not in `state`.
    Returns: whether anything was.
    """
    known = _known(conn, topic, assumed, lifted)
    if not _ahead(conn, projection, known):
        return False

    def take() -> bool:
        row = conn.execute(query("projection_lock"), (projection,)).fetchone()
        if row is None or state not in {None, row[4]}:
            return False
        conn.execute(query("checkpoints_lock"), (projection,))
        ahead = _ahead(conn, projection, known)
        if ahead:
            _obey(conn, projection, obeyed_places(conn, projection) ^ ahead)
        return bool(ahead)

    return past_zombies(conn, projection, take)


def obey(conn: psycopg.Connection[Any], projection: str, void: Void) -> None:
    """Note that rows were made obeying a void, which the caller knows."""
    with conn.transaction():
        conn.execute(query("projection_lock"), (projection,))
        conn.execute(query("checkpoints_lock"), (projection,))
        _obey(conn, projection, obeyed_places(conn, projection) | {(void.id, void.source)})


def fits(
    conn: psycopg.Connection[Any],
    topic: str,
    projection: str,
    *,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
) -> bool:
    """Say whether rows obey all that is in force, or can take over what they do not."""
    known = _known(conn, topic, assumed, lifted)
    return not _differing(conn, projection, known)


def unlike(
    conn: psycopg.Connection[Any],
    topic: str,
    projection: str,
    voids: Sequence[VoidRecord] | None = None,
) -> list[str]:
    """Return the ids of the voids of which rows say otherwise than the log does.

    Only other tables can put that right. What lies ahead of the rows is not among them. `voids` are
    the topic's, where the caller knows them.
    """
    known = _known_of(list_voids(conn, topic) if voids is None else voids)
    return sorted({name for name, _ in _differing(conn, projection, known)})


def is_beyond(void: Void, seqs: Mapping[tuple[str, int], int]) -> bool:
    """Say whether lanes, (source, partition) → seq, went on behind the last event that counts."""
    return any(seqs.get((void.source, p), 0) > span.after for p, span in void.lanes.items())


def _ahead(
    conn: psycopg.Connection[Any], projection: str, known: Mapping[Place, _Known]
) -> set[Place]:
    return _differing(conn, projection, known, applied=False)


def _differing(
    conn: psycopg.Connection[Any],
    projection: str,
    known: Mapping[Place, _Known],
    *,
    applied: bool = True,
) -> set[Place]:
    """Return where rows and the log differ: where that is in the rows already, or lies ahead."""
    obeyed = obeyed_places(conn, projection)
    differing = {place for place, one in known.items() if one.counts != (place in obeyed)}
    if not differing:
        return differing
    seqs: dict[int, dict[tuple[str, int], int]] = {}
    for source, generation, partition, seq in conn.execute(query("voids_heads"), (projection,)):
        seqs.setdefault(generation, {})[source, partition] = seq
    return {
        place
        for place in differing
        if is_beyond(known[place].void, seqs.get(known[place].void.generation, {})) == applied
    }


def _known(
    conn: psycopg.Connection[Any],
    topic: str,
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
) -> dict[Place, _Known]:
    return _known_of(list_voids(conn, topic), assumed, lifted)


def _known_of(
    voids: Iterable[VoidRecord],
    assumed: Iterable[Void] = (),
    lifted: Collection[str] = (),
) -> dict[Place, _Known]:
    known = {(void.id, void.source): _Known(void, True) for void in assumed}
    for one in voids:
        void = one.void
        counts = one.restored_at is None and void.id not in lifted
        known[void.id, void.source] = _Known(void, counts)
    return known


def _voids(generation: int, known: Mapping[Place, _Known], obeyed: Collection[Place]) -> Voids:
    reversed_ = [place for place, one in known.items() if not one.counts and place not in obeyed]
    return Voids(generation, [known[place].void for place in sorted(obeyed)], reversed_)


def _obey(conn: psycopg.Connection[Any], projection: str, voids: Collection[Place]) -> None:
    values = {"projection": projection, "voids": Jsonb([list(place) for place in sorted(voids)])}
    conn.execute(query("voids_obey"), values)
