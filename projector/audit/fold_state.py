"""The entities that the log gives, at one point of it, and the sums of their rows.

Changes are kept in memory until some thousands are written to the store at once.
"""

from collections.abc import Callable, Collection, Iterator
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from projector.audit.fold_store import FoldStore, Place, Stored, encode, packed_row
from schemas.digest import MODULUS, digest_of
from schemas.domain import Domain, Kind
from schemas.envelope import Envelope
from schemas.table_sums import Sums, total
from schemas.tables import Row, key_text


class RowWitness(NamedTuple):
    """What the log says of one row: its digest is below MODULUS, `last_offset` its newest event."""

    key: str
    stream: str
    source: str
    digest: int
    row: Row
    partition: int
    last_offset: int


class _Reading(NamedTuple):
    kind: Kind
    number: int
    read: Callable[[Any], Any]
    key_of: Callable[[Any], Any]
    stream_of: Callable[[Any], str]
    number_of: Callable[[Any], int] | None
    """An event's place in its ring, where that is not the order in which its items came."""


class Opened(NamedTuple):
    """An event that was read, and what its kind is."""

    reading: _Reading
    event: Any


class Step(NamedTuple):
    """What an event did to its entity; `refused` says why it did nothing, if it did not."""

    kind: Kind
    event: Any
    before: Any
    after: Any
    refused: Exception | None


class _Changed:
    """An entity that changed since it was written: as it was counted last, and as it is now."""

    __slots__ = ("before", "entity", "kind", "last_offset", "ordinal", "source", "stream")

    def __init__(self, kind: Kind, before: Stored | None, entity: Any) -> None:
        self.kind = kind
        self.before = before
        self.entity = entity
        self.ordinal = -1 if before is None else before.ordinal
        self.last_offset = -1
        self.source = self.stream = ""


class FoldState:
    """Entities by kind, partition and key; `numbers` are how the store names kinds.

    Unless `summed`, nothing is known of their rows: it is for who wants entities alone.

    Rows are digested once for all that happened to an entity since the last time: see `_settle`.
    """

    def __init__(
        self, domain: Domain, store: FoldStore, numbers: dict[str, int], *, summed: bool = True
    ) -> None:
        self._domain = domain
        self._store = store
        self._numbers = numbers
        self._kinds = {table.name: kind for kind in domain.kinds for table in kind.tables}
        self.windowed = frozenset(
            numbers[kind.name]
            for kind in domain.kinds
            if any(table.windowed for table in kind.tables)
        )
        self._readings = {
            name: _Reading(
                reader.kind, numbers[reader.kind.name], reader.read,
                reader.kind.key_getter(), reader.kind.stream_getter(), _number_in_ring(reader.kind),
            )
            for name, reader in domain.readers.items()
        }  # fmt: skip
        self._places = {
            table.name: (number, digest_of(table))
            for kind in domain.kinds
            for number, table in enumerate(kind.tables)
        }
        self._summed = summed
        self._totals = store.totals()
        self._partitions = {partition for partition, _, _ in self._totals}
        self._changed: dict[Place, _Changed] = {}
        self._settled: dict[Place, Stored | None] = {}
        self._moved: set[tuple[int, str, str]] = set()
        self.write: Callable[[], None] = lambda: None
        """Has everything that changed written: the store is then as this is."""

    def open(self, event: Envelope) -> Opened:
        """Return an event as its kind has it today; raises whatever it takes to read it."""
        reading = self._readings[event.type]
        return Opened(reading, reading.read(event.data))

    def move(self, opened: Opened, source: str, partition: int, offset: int) -> Step:
        """Move one entity by an event; where the domain refuses, nothing moved."""
        reading, decoded = opened
        place = (reading.number, partition, encode(reading.key_of(decoded)))
        changed = self._changed.get(place)
        if changed is None:
            stored = self._settled[place] if place in self._settled else self._store.get(place)
            state = None if stored is None else _state(reading.kind, stored)
            changed = _Changed(reading.kind, stored, state)
        before = changed.entity
        try:
            entity = reading.kind.evolve(before, decoded)
        except Exception as error:  # whatever the domain's code raises
            return Step(reading.kind, decoded, before, before, error)
        if reading.number_of is not None:
            changed.ordinal = reading.number_of(decoded)
        elif changed.ordinal < 0 or before is None:
            changed.ordinal = offset
        changed.entity, changed.last_offset = entity, offset
        changed.source, changed.stream = source, reading.stream_of(decoded)
        self._changed[place] = changed
        return Step(reading.kind, decoded, before, entity, None)

    def _settle(self) -> None:
        """Count what changed: rows as they were out, rows as they are in."""
        for place, changed in self._changed.items():
            kind, partition, after = changed.kind, place[1], None
            if changed.entity is not None:
                rows = self._packed_rows(kind, changed.entity) if self._summed else ()
                after = Stored(
                    changed.source, changed.stream, changed.ordinal, changed.last_offset,
                    encode(changed.entity), b"".join(rows),
                )  # fmt: skip
                self._partitions.add(partition)
            if changed.before is not None:
                self._count(kind, partition, changed.before, -1)
            if after is not None:
                self._count(kind, partition, after, 1)
            self._settled[place] = after
        self._changed = {}

    def _packed_rows(self, kind: Kind, entity: Any) -> Iterator[bytes]:
        for table, row in kind.rows(entity):
            number, digest_row = self._places[table.name]
            bucket, digest = digest_row(row)
            yield packed_row(number, bucket, digest % MODULUS)

    def _count(self, kind: Kind, partition: int, entity: Stored, sign: int) -> None:
        for number, bucket, digest in entity.digests():
            place = (partition, entity.source, kind.tables[number].name)
            sums = self._totals.get(place)
            if sums is None:
                sums = self._totals[place] = Sums()
            sums.rows[bucket] += sign
            sums.digests[bucket] += sign * digest
            self._moved.add(place)

    @property
    def unwritten(self) -> int:
        """How many entities changed since the last time that all was written."""
        return len(self._changed) + len(self._settled)

    def taken(self) -> tuple[dict[Place, Stored | None], dict[tuple[int, str, str], Sums]]:
        """Return what changed since the last time, for the store."""
        self._settle()
        settled, totals = self._settled, {place: self._totals[place] for place in self._moved}
        self._settled, self._moved = {}, set()
        return settled, totals

    # --- what it says

    def entities(self) -> Iterator[tuple[Kind, Any]]:
        """Yield every entity with its kind, one kind after the other."""
        self.write()
        for kind in self._domain.kinds:
            for partition in sorted(self._partitions):
                for entity in self._store.all(self._numbers[kind.name], partition):
                    yield kind, _state(kind, entity)

    def sums(self, table: str) -> Sums:
        """Return the sums of a table's rows."""
        self._settle()
        return total(sums for (_, _, name), sums in self._totals.items() if name == table)

    def sums_by_source(self) -> dict[str, dict[str, Sums]]:
        """Return the sums of each source's rows by table."""
        self._settle()
        found: dict[str, dict[str, Sums]] = {}
        for (_, source, table), sums in self._totals.items():
            by_table = found.setdefault(source, {})
            by_table[table] = by_table.get(table, Sums()) + sums
        return found

    def sums_of(self, source: str, partition: int) -> dict[str, Sums]:
        """Return the sums of one source's rows in one partition, by table: a copy."""
        self._settle()
        return {
            name: sums + Sums()
            for (p, s, name), sums in self._totals.items()
            if s == source and p == partition
        }

    def rows(
        self,
        table: str,
        buckets: Collection[int] | None = None,
        *,
        source: str | None = None,
        partition: int | None = None,
    ) -> Iterator[RowWitness]:
        """Yield a table's rows: those of some buckets, of a source, or in a partition, if given."""
        self.write()
        kind = self._kinds[table]
        partitions = sorted(self._partitions) if partition is None else [partition]
        for p in partitions:
            for entity in self._store.all(self._numbers[kind.name], p):
                if source is None or entity.source == source:
                    yield from self._rows_of(kind, p, entity, table, buckets)

    def newest(self, table: str, partition: int, stream: str, count: int) -> list[RowWitness]:
        """Return the newest `count` rows of a windowed stream, whole entities, oldest first."""
        self.write()
        kind = self._kinds[table]
        found: list[list[RowWitness]] = []
        rows = 0
        for entity in self._store.newest(self._numbers[kind.name], partition, stream, count):
            if rows >= count:
                break
            found.append(list(self._rows_of(kind, partition, entity, table, None)))
            rows += len(found[-1])
        return [row for entity_rows in reversed(found) for row in entity_rows]

    def newest_sums(
        self, table: str, partition: int, stream: str, count: int
    ) -> tuple[int, int, set[str]]:
        """Return of the same rows how many they are, their digests' sum, and whose they are."""
        self.write()
        kind = self._kinds[table]
        number, rows, digests, sources = self._places[table][0], 0, 0, set[str]()
        for entity in self._store.newest(self._numbers[kind.name], partition, stream, count):
            if rows >= count:
                break
            for one, _, digest in entity.digests():
                if one == number:
                    rows, digests = rows + 1, digests + digest
            sources.add(entity.source)
        return rows, digests % MODULUS, sources

    def _rows_of(
        self,
        kind: Kind,
        partition: int,
        entity: Stored,
        table: str,
        buckets: Collection[int] | None,
    ) -> Iterator[RowWitness]:
        number = self._places[table][0]
        mine = [(bucket, digest) for one, bucket, digest in entity.digests() if one == number]
        if not any(buckets is None or bucket in buckets for bucket, _ in mine):
            return
        rows = [(t, row) for t, row in kind.rows(_state(kind, entity)) if t.name == table]
        for (declared, row), (bucket, digest) in zip(rows, mine, strict=True):
            if buckets is None or bucket in buckets:
                key = key_text(declared.key_of(row))
                yield RowWitness(
                    key, entity.stream, entity.source, digest, row, partition, entity.last_offset
                )


def _state(kind: Kind, entity: Stored) -> Any:
    return msgspec.msgpack.decode(entity.state, type=kind.entity)


def _number_in_ring(kind: Kind) -> Callable[[Any], int] | None:
    """Return what orders a recorded ring: items may come at its left, older by number than all."""
    described = kind.description
    if described is None or described.facts or not described.windowed:
        return None
    number: Callable[[Any], int] = attrgetter(kind.key[-1])
    return number
