"""Events recorded in a PostgreSQL transaction of the app's own: there with its rows, or not at all.

Import this only where psycopg is installed.
Source: docs/decisions/0016-numbered-at-the-commit.md
"""

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from eventlog.entry import Entry
from eventlog.outbox.columns import Columns
from eventlog.outbox.postgres import PostgresOutbox
from eventlog.outbox.postgres_sql import query
from eventlog.receipts import OutcomeUnknown, Receipt
from eventlog.recorder import Changed, Recorder
from schemas import envelope
from schemas.domain import TransitionRefused
from schemas.errors import FerryError
from schemas.lane import LaneHead

Connection = psycopg.Connection[Any]


class TransactionUnfit(FerryError):
    """Events cannot be recorded in this transaction; nothing was recorded."""


class TransactionBlocked(FerryError):
    """The transaction could not be committed in time: others hold the shim; it was rolled back."""


class CallersTransaction:
    """Events that wait for the caller's commit. `receipts` are there once it has taken place.

    Not for two threads.
    """

    def __init__(self, ferry: Recorder, outbox: PostgresOutbox, conn: Connection) -> None:
        self._ferry = ferry
        self._outbox = outbox
        self._conn = conn
        self._recorded: list[tuple[Entry, msgspec.Struct, bytes]] = []
        self._contexts: list[envelope.Context] = []
        self._seen: dict[tuple[str, Hashable], Any] = {}
        self._held: list[threading.RLock] = []
        self._written: tuple[Columns, dict[int, LaneHead]] | None = None
        self._unit = ""
        self._queued: list[Receipt] = []
        self._own: list[Receipt] = []
        self._changed: dict[tuple[str, Hashable], Changed] = {}
        self._begun: dict[str, list[Receipt]] = {}
        self.receipts: list[Receipt] = []

    def record(self, event: msgspec.Struct, *, context: envelope.Context | None = None) -> None:
        """Record an event if the transaction commits; memory changes then, not before.

        The event is tried on memory now, behind those recorded here before it, and again at the
        commit, on what others have recorded by then: a refusal there rolls the transaction back.
        Raises: as `ferry.record` does; TransactionUnfit for a command's id.
        """
        if context is not None and context.commandid:
            raise TransactionUnfit(
                "a command's id is kept by the app's own transaction, not beside it",
                remedy="keep it in a table of your own with a unique key, in this transaction",
            )
        ferry = self._ferry
        entry = ferry._entry(event)
        data = entry.encode(event)
        with ferry.memory_lock:
            ferry._require_open()
            store = entry.store or entry.refuse_unregistered(ferry.source)
            place = (entry.kind.name, entry.key(event))
            present = self._seen[place] if place in self._seen else store.get(place[1])
            self._seen[place] = self._evolved(entry, present, event)
        self._recorded.append((entry, event, data))
        self._contexts.append(context or envelope.Context())

    def require_fit(self) -> None:
        """Check a transaction that has just begun; raises TransactionUnfit."""
        statement = query("callers_look", self._outbox.where.schema)
        try:
            with self._conn.cursor(row_factory=tuple_row) as cursor:
                row = cursor.execute(statement).fetchone()
        except psycopg.errors.UndefinedTable as error:
            raise self._elsewhere() from error
        if row is None or row[0] < self._outbox.writer:
            raise self._elsewhere()
        if row[0] > self._outbox.writer:
            raise self._outbox.adopted()
        if row[1] != "read committed":
            raise TransactionUnfit(
                f"the transaction is {row[1]}: it would collide with every event that is recorded "
                "meanwhile",
                where=str(self._outbox.where),
                remedy="use a connection whose isolation level is read committed, and lock the "
                "rows that you decide by (SELECT ... FOR UPDATE)",
            )

    def write(self, timeout: float) -> None:
        """Number the events, as the transaction's last step; the shim is held until `release`."""
        if not self._recorded:
            return
        if self._conn.info.transaction_status != TransactionStatus.INTRANS:
            raise TransactionUnfit(
                "the transaction was ended by hand",
                where=str(self._outbox.where),
                remedy="leave BEGIN, COMMIT and ROLLBACK to ferry.transaction",
            )
        ferry, deadline = self._ferry, time.monotonic() + timeout
        for lock in (ferry.lock, ferry.memory_lock):
            if not lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
                raise self._blocked(timeout)
            self._held.append(lock)
        self._evolve_all()
        # What was queued before comes before: it is in memory already. Nothing more is queued now.
        row = ferry._commit.last_row
        if not ferry.durable.wait(row, max(0.0, deadline - time.monotonic())):
            raise self._blocked(timeout)
        columns, heads = self._outbox.number(self._queued)
        with self._conn.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(query("durable_commits", self._outbox.where.schema), (True,))
        self._written = columns, heads
        self._outbox.write(self._conn, columns, heads)

    def took_place(self, error: psycopg.OperationalError) -> bool:
        """Say whether the commit took place although its answer was an error.

        Raises: OutcomeUnknown, and halts, where the database does not say it.
        """
        if self._written is None:
            return False
        try:
            return self._outbox.settle(self._written[0])
        except (psycopg.Error, FerryError) as unsettled:
            unknown = OutcomeUnknown(
                f"it is not known whether the transaction was committed: {error}",
                where=str(self._outbox.where),
                remedy="restart the app: memory is restored from what is durable",
            )
            self._ferry._commit._halt(unsettled)
            raise unknown from unsettled

    def apply(self) -> None:
        """Change memory: the commit has taken place."""
        if self._written is None:
            return
        columns, heads = self._written
        ferry = self._ferry
        self._outbox.note(columns, heads)
        for receipt, row, seq in zip(self._queued, columns.rows, columns.seqs, strict=True):
            receipt.row, receipt.seq = row, seq
        ferry._note_touched(self._begun, self._changed)
        ferry._known.update(self._begun)
        ferry._apply(self._begun.values(), self._changed)
        ferry._recorded += len(self._queued)
        ferry._commit.follow(columns.rows[-1])
        self.receipts = self._own

    def release(self) -> None:
        """Let others record again."""
        while self._held:
            self._held.pop().release()

    def _evolve_all(self) -> None:
        ferry, unit = self._ferry, self._ferry._new_id()
        for (entry, event, data), context in zip(self._recorded, self._contexts, strict=True):
            store = ferry._admit(entry)
            stream = entry.stream(event)
            if not (entry.whole or stream in ferry._known or stream in self._begun):
                self._begun[stream] = ferry._state(store, stream)
                self._queued += self._begun[stream]
            place = (entry.kind.name, entry.key(event))
            first, present = (
                self._changed[place][2:4] if place in self._changed else (store.get(place[1]),) * 2
            )
            entity = self._evolved(entry, present, event)
            given = msgspec.structs.replace(context, unit=unit)
            receipt = ferry._receipt(entry, stream, data, given)
            self._changed[place] = Changed(entry, store, first, entity, event, receipt)
            self._queued.append(receipt)
            self._own.append(receipt)

    @staticmethod
    def _evolved(entry: Entry, present: Any, event: msgspec.Struct) -> Any:
        try:
            return entry.evolve(present, event)
        except TransitionRefused as error:
            entry.refuse(error, entry.stream(event))

    def _elsewhere(self) -> TransactionUnfit:
        return TransactionUnfit(
            "the outbox is not in this connection's database",
            where=str(self._outbox.where),
            remedy="connect to the database of `outbox.dsn`, as a user who may write its schema",
        )

    def _blocked(self, timeout: float) -> TransactionBlocked:
        return TransactionBlocked(
            f"the transaction could not be numbered within {timeout} s",
            where=str(self._outbox.where),
            remedy="do not hold `ferry.lock` while you wait for rows that a transaction has locked",
        )


@contextmanager
def callers_transaction(
    ferry: Recorder, outbox: PostgresOutbox, conn: Connection, timeout: float
) -> Iterator[CallersTransaction]:
    """Begin a transaction, hand it to the caller, number its events last, commit, change memory."""
    if conn.info.transaction_status != TransactionStatus.IDLE:
        raise TransactionUnfit(
            "the connection is in a transaction already",
            where=str(outbox.where),
            remedy="ferry.transaction begins and commits it: end the other one before",
        )
    changes = CallersTransaction(ferry, outbox, conn)
    try:
        try:
            with conn.transaction():
                changes.require_fit()
                yield changes
                changes.write(timeout)
        except psycopg.OperationalError as error:
            if not changes.took_place(error):
                raise
        changes.apply()
    finally:
        changes.release()
