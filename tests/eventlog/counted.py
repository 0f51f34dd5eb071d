"""The sums of barriers beside a plain fold of the outbox, and beside what the stores hold."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from eventlog.barriers import Barrier
from eventlog.outbox.contract import OutboxRow
from eventlog.shim import Ferry
from schemas import envelope
from schemas.control import CONTROL_PREFIX, BarrierPlaced, decode_control
from schemas.derived.kind import kind_of
from schemas.digest import digest_of
from schemas.domain import Domain, Kind
from schemas.lane import partition_of
from schemas.table_sums import Sums
from schemas.tables import Delete, Insert, Patch, Row, Table, Upsert
from tests.eventlog.app import DEADLINE_S

Tables = dict[Table, dict[Any, tuple[int, Row]]]
"""Table → key → partition, row."""
Found = dict[tuple[int, str], Sums]


class Counted:
    """One app's barriers. The stores must be as they were recorded."""

    def __init__(self, ferry: Ferry, rows: Callable[[], Sequence[OutboxRow]]) -> None:
        self.ferry = ferry
        self._rows = rows
        self._first: dict[str, tuple[Found, Found]] = {}
        self.compared = 0

    def barrier(self) -> Barrier:
        """Place a barrier; demand that its sums are what was folded since the first of its kind."""
        with self.ferry.lock, self.ferry.memory_lock:
            barrier = self.ferry.place_barrier(f"b-{id(self)}-{self.compared}", "audit")
            held = resident(self.ferry)
        barrier.receipts[-1].durable(DEADLINE_S)
        rows = [row for row in self._rows() if row.row < barrier.receipts[0].row]
        history = summed(fold(rows, self.ferry.domain))
        history0, held0 = self._first.setdefault(barrier.counting, (history, held))
        assert barrier.counting
        for partition, tables in barrier.sums.items():
            for name, sums in tables.items():
                place = (partition, name)
                found, found_resident = sums.opened()
                assert found == _less(history, history0, place), place
                if sums.resident is not None:
                    assert found_resident == _less(held, held0, place), place
        self._require_logged(barrier)
        self.compared += 1
        return barrier

    def _require_logged(self, barrier: Barrier) -> None:
        places = {(receipt.partition, receipt.seq): receipt for receipt in barrier.receipts}
        for row in self._rows():
            if (row.partition, row.seq) in places:
                found = envelope.decode(row.event)
                event = decode_control(found.type, found.data)
                assert isinstance(event, BarrierPlaced)
                assert event.counting == barrier.counting
                assert event.sums == barrier.sums[row.partition]


def _less(now: Found, then: Found, place: tuple[int, str]) -> Sums:
    return now.get(place, Sums()) - then.get(place, Sums())


def fold(rows: Sequence[OutboxRow], domain: Domain) -> Tables:
    """Return the tables that events make, by their handlers alone."""
    tables: Tables = {}
    kinds: dict[str, Kind] = {}
    for row in rows:
        found = envelope.decode(row.event)
        if found.type.startswith(CONTROL_PREFIX):
            continue
        kind, event_type = domain.by_type[found.type]
        if kind.description is not None:
            kind = kinds.setdefault(kind.name, kind_of(kind.description))
            event_type = kind.events[found.type]
        for change in kind.project(msgspec.json.decode(found.data, type=event_type)):
            _apply(tables.setdefault(change.table, {}), row.partition, change)
    return tables


def _apply(table: dict[Any, tuple[int, Row]], partition: int, change: Any) -> None:
    match change:
        case Insert():
            assert change.table.key_of(change.row) not in table
            table[change.table.key_of(change.row)] = (partition, change.row)
        case Upsert():
            table[change.table.key_of(change.row)] = (partition, change.row)
        case Patch():
            columns, (_, before) = change.table.columns, table[change.key]
            row = dict(zip(columns, before, strict=True)) | change.changes
            table[change.key] = (partition, tuple(row[column] for column in columns))
        case Delete():
            del table[change.key]


def summed(tables: Tables) -> Found:
    """Return the sums of tables, partition by partition."""
    found: Found = {}
    for table, rows in tables.items():
        digest = digest_of(table)
        for partition, row in rows.values():
            found.setdefault((partition, table.name), Sums()).add(*digest(row))
    return found


def resident(ferry: Ferry) -> Found:
    """Return the sums of what stores hold and the log knows."""
    found: Found = {}
    for store in ferry.stores().values():
        stream_of = store.kind.stream_getter()
        for entity in store.copy()():
            stream = stream_of(entity)
            if ferry.is_known(stream):
                partition = partition_of(stream, ferry.identity.partitions)
                for table, row in store.kind.rows(entity):
                    sums = found.setdefault((partition, table.name), Sums())
                    sums.add(*digest_of(table)(row))
    return found
