"""What memory holds otherwise than the log: entities that changed without being recorded.

The log is folded bucket by bucket of streams, so that only a bucket's entities are in memory twice.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from zlib import crc32

import msgspec

from eventlog.outbox.contract import OutboxReader, OutboxRow
from eventlog.restart.fold import events_of
from eventlog.stores import Store, StoreCopy
from eventlog.voids import read_own_voids
from schemas.domain import Kind, TransitionRefused
from schemas.errors import FerryError

BUCKET_ENTITIES = 50_000
"""Entities of the log held at once, about."""
_CHUNK_ROWS = 10_000
_encode = msgspec.json.Encoder(order="deterministic").encode


class LogNotHere(FerryError):
    """The outbox does not hold everything that the log says of a kind."""


class StateNotRecordable(FerryError):
    """A change of memory that no event of the kind can carry."""


class _Within(NamedTuple):
    """A share of all streams."""

    bucket: int
    buckets: int

    def holds(self, stream: str) -> bool:
        return crc32(stream.encode()) % self.buckets == self.bucket


class Changed(NamedTuple):
    """One entity: its key, and what the log has where memory has nothing any more."""

    key: Any
    ended: Any = None


def changed(
    store: Store,
    copy: StoreCopy,
    reader: OutboxReader,
    row: int,
    bucket_entities: int = BUCKET_ENTITIES,
) -> Iterator[list[Changed]]:
    """Yield, bucket by bucket, what a copy of a store has otherwise than the log up to a row.

    `copy` and `row` are of one moment. What the log has and memory has not is told of kinds that
    keep one entity a stream; elsewhere it was evicted.
    Raises: LogNotHere where the outbox was pruned, StateNotRecordable, EventTypeGone.
    """
    _require_whole(reader)
    voids = read_own_voids(reader)
    kind = store.kind
    count = sum(1 for _ in copy())
    buckets = max(1, -(-count // bucket_entities))
    for bucket in range(buckets):
        within = _Within(bucket, buckets)
        yield _of_bucket(kind, copy, voids.counting(_rows(kind, reader, row, within)), within)


def _of_bucket(
    kind: Kind,
    copy: StoreCopy,
    rows: Iterable[OutboxRow],
    within: "_Within",
) -> list[Changed]:
    stream_of, key_of = kind.stream_getter(), kind.key_getter()
    windowed = len(kind.key) > len(kind.stream)
    mine = [entity for entity in copy() if within.holds(stream_of(entity))]
    wanted = {key_of(entity) for entity in mine} if windowed else None
    said = _fold(kind, rows, wanted)
    found = []
    for entity in mine:
        key = key_of(entity)
        event = kind.snapshot(entity)
        before = said.pop(key, None)
        if before is None or _encode(kind.snapshot(before)) != _encode(event):
            _require_recordable(kind, entity, event)
            found.append(Changed(key))
    if not windowed:
        found += [Changed(key, entity) for key, entity in said.items()]
    return found


def _fold(kind: Kind, rows: Iterable[OutboxRow], wanted: set[Any] | None) -> dict[Any, Any]:
    key_of = kind.key_getter()
    said: dict[Any, Any] = {}
    for _, event in events_of(kind, rows):
        key = key_of(event)
        if wanted is not None and key not in wanted:
            continue
        entity = kind.evolve(said.get(key), event)
        if entity is None:
            said.pop(key, None)
        else:
            said[key] = entity
    return said


def _rows(kind: Kind, reader: OutboxReader, until: int, within: "_Within") -> Iterator[OutboxRow]:
    prefix = f"{kind.name}/"
    rows = reader.rows(0, _CHUNK_ROWS)
    while rows:
        for row in rows:
            if row.row > until:
                return
            if row.stream.startswith(prefix) and within.holds(row.stream):
                yield row
        rows = reader.rows(rows[-1].row, _CHUNK_ROWS)


def _require_whole(reader: OutboxReader) -> None:
    for partition in reader.heads():
        if partition >= 0 and reader.at(partition, 1) is None:
            raise LogNotHere(
                "the outbox was pruned: what the log holds is not known here",
                where=f"partition {partition}",
                remedy="compare memory with the log by `memferry audit`; record what it names",
            )


def _require_recordable(kind: Kind, entity: Any, event: Any) -> None:
    try:
        kind.evolve(entity, event)
    except TransitionRefused as error:
        raise StateNotRecordable(
            f"kind {kind.name!r} takes no state over a present entity: {error.what}",
            where=f"{kind.name} {kind.key_getter()(entity)!r}",
            remedy="record its changes by events of their own, or let `evolve` take the state",
        ) from error
