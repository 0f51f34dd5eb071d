"""What is counted of one kind: the digests of its rows as they were recorded last.

Recording only notes what changed, by key; whoever settles it hashes. Several changes of an entity
that were not settled yet are one.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from schemas.derived.kind import kind_of
from schemas.digest import BUCKETS, Digest, digest_of
from schemas.domain import Kind
from schemas.table_sums import Sums, TableSums
from schemas.tables import Row, Table

_UNMET = object()
_BITS = BUCKETS.bit_length() - 1
_BUCKET = BUCKETS - 1
Rows = Callable[[Any], tuple[tuple[Table, Row], ...]]


class TableCount:
    """A table's sums in one partition; of a windowed one also what is resident."""

    __slots__ = ("_told", "history", "resident")

    def __init__(self, table: Table) -> None:
        self.history = Sums()
        self.resident = Sums() if table.windowed else None
        self._told: TableSums | None = None

    def change(self, before: int | None, after: int | None) -> None:
        """Let a row that was recorded as one digest be another; None where there is no row."""
        self._told = None
        if before is not None and after is not None:  # the key, and so the bucket, is the same
            moved = after - before >> _BITS
            self.history.digests[after & _BUCKET] += moved
            if self.resident is not None:
                self.resident.digests[after & _BUCKET] += moved
            return
        _move(self.history, before, after)
        if self.resident is not None:
            _move(self.resident, before, after)

    def evict(self, row: int) -> None:
        """Take a row away that memory holds no longer."""
        if self.resident is not None:
            self._told = None
            _move(self.resident, row, None)

    def told(self) -> TableSums:
        """Return the sums as they stand in a barrier."""
        told = self._told
        if told is None:
            told = self._told = TableSums.of(self.history, self.resident)
        return told


def _move(sums: Sums, before: int | None, after: int | None) -> None:
    rows, digests = sums.rows, sums.digests
    if before is not None:
        bucket = before & _BUCKET
        rows[bucket] -= 1
        digests[bucket] -= before >> _BITS
    if after is not None:
        bucket = after & _BUCKET
        rows[bucket] += 1
        digests[bucket] += after >> _BITS


class KindCount:
    """One kind's changes and digests. `note` and `evict` are called under the shim's lock.

    Digests are kept of every entity that was met, as long as it is resident: with its bucket one
    number of 50 bytes. So a sum always is that of what was recorded, whatever memory became.
    `state` makes of an entity what may be kept of it, `rows` makes rows of that.
    """

    __slots__ = ("_digests", "_of_table", "_rows", "_single", "_state", "_stated", "evicted", "key",
                 "kind", "pending", "sums", "tables", "windowed")  # fmt: skip

    def __init__(self, kind: Kind, partitions: int) -> None:
        self.kind = kind
        self.key = kind.key_getter()
        self.windowed = any(table.windowed for table in kind.tables)
        self.pending: dict[Any, tuple[int, Any, Any]] = {}
        """Key → partition, the state as it was recorded before, the state now; None for none."""
        self.evicted: list[tuple[int, Any, Any]] = []
        """Partition, key, state of what a ring lost."""
        self._digests: dict[Any, Any] = {}
        self._rows: Rows
        self._state: Callable[[Any], Any]
        self._stated = kind.description is not None
        if kind.description is None:
            self._state, self._rows = _as_it_is, kind.rows
        else:
            self._state, self._rows = _stated(kind)
        self.tables = kind.tables
        self._of_table: dict[Table, tuple[int, Digest]] = {
            table: (number, digest_of(table)) for number, table in enumerate(kind.tables)
        }
        self._single = self._of_table[kind.tables[0]][1] if len(kind.tables) == 1 else None
        self.sums = [[TableCount(table) for table in kind.tables] for _ in range(partitions)]

    def met(self, key: Any) -> bool:
        """Say whether it is known what was recorded of a key last: nobody need say it again."""
        return key in self.pending or key in self._digests

    def note(self, partition: int, key: Any, before: Any, entity: Any, data: bytes) -> None:
        """Note that an entity was recorded: what it was, what it is (None for none), its event."""
        pending = self.pending
        waiting = pending.get(key)
        if self._stated:
            entity = None if entity is None else data
            if waiting is None and before is not None:
                before = None if key in self._digests else self._state(before)
        pending[key] = (partition, before if waiting is None else waiting[1], entity)

    def evict(self, partition: int, entity: Any) -> None:
        """Note that a ring lost an entity."""
        key = self.key(entity)
        self.evicted.append((partition, key, None if self.met(key) else self._state(entity)))

    @property
    def waiting(self) -> int:
        """How many changes are not settled."""
        return len(self.pending) + len(self.evicted)

    def settle(self, most: int) -> int:
        """Hash up to so many changes; return how many there were. By one thread at a time.

        It does not matter in which order entities are settled.
        """
        pending, count = self.pending, 0
        change, next_of = self._change, pending.popitem
        while pending and count < most:
            key, (partition, before, after) = next_of()
            change(partition, key, before, after)
            count += 1
        while self.evicted and count < most:
            self._evict(*self.evicted.pop())
            count += 1
        return count

    def _change(self, partition: int, key: Any, before: Any, after: Any) -> None:
        digests = self._digests
        was = digests.get(key, _UNMET)
        if was is _UNMET:
            was = None if before is None else self._hashed(before)
        now = None
        if after is not None:
            single = self._single
            if single is None:
                now = self._hashed(after)
            else:
                bucket, digest = single(self._rows(after)[0][1])
                now = digest << _BITS | bucket
            digests[key] = now
        elif key in digests:
            del digests[key]
        sums = self.sums[partition]
        if self._single is not None:
            sums[0].change(was, now)
            return
        for number, row in was or ():
            sums[number].change(row, None)
        for number, row in now or ():
            sums[number].change(None, row)

    def _evict(self, partition: int, key: Any, state: Any) -> None:
        waiting = self.pending.pop(key, None)  # it came while others were settled
        if waiting is not None:
            self._change(waiting[0], key, *waiting[1:])
        found = self._digests.pop(key, _UNMET)
        if found is _UNMET:
            found = None if state is None else self._hashed(state)
        if found is None:
            return
        sums = self.sums[partition]
        if self._single is not None:
            sums[0].evict(found)
            return
        for number, row in found:
            sums[number].evict(row)

    def _hashed(self, state: Any) -> Any:
        """Return the digest of a state's row, bucket last; of several rows pairs with the table."""
        if self._single is not None:
            bucket, digest = self._single(self._rows(state)[0][1])
            return digest << _BITS | bucket
        found = []
        for table, row in self._rows(state):
            number, digested = self._of_table[table]
            bucket, digest = digested(row)
            found.append((number, digest << _BITS | bucket))
        return tuple(found)


def _as_it_is(entity: Any) -> Any:
    return entity


def _stated(kind: Kind) -> tuple[Callable[[Any], Any], Rows]:
    """Return what keeps a derived kind's entity, which may be mutable, and what makes rows of it.

    It is kept as its event's encoding, of which the row is what a column gives back.
    """
    description = kind.description
    assert description is not None  # noqa: S101  (who calls says so)
    pure = kind_of(description)
    decode = msgspec.json.Decoder(pure.events[description.stated]).decode
    table = kind.tables[0]

    def state(entity: Any) -> bytes:
        return msgspec.json.encode(kind.snapshot(entity))

    def rows(data: bytes) -> tuple[tuple[Table, Row], ...]:
        return ((table, msgspec.structs.astuple(decode(data))),)

    return state, rows
