"""The PostgreSQL outbox: one schema a source, one writer, every append one transaction.

Source: docs/decisions/0016-numbered-at-the-commit.md
"""

import os
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import msgspec
import psycopg

from eventlog.outbox.columns import Columns
from eventlog.outbox.contract import (
    Command,
    KeptCommand,
    OutboxAdopted,
    OutboxIdentity,
    OutboxInvalid,
    OutboxRow,
    Pending,
    Safe,
)
from eventlog.outbox.numbering import number
from eventlog.outbox.postgres_commands import CommandIndex
from eventlog.outbox.postgres_place import (
    FORMAT,
    LOCK_WAIT_S,
    PAUSE_S,
    Connection,
    Place,
    describe,
    first_connection,
    lock_for_writing,
    read_firsts,
    read_heads,
    read_identity,
)
from eventlog.outbox.postgres_reader import read_lane, read_rows
from eventlog.outbox.postgres_sql import query
from eventlog.outbox.postgres_write import move_last_row, write
from eventlog.outbox.tail import Tail
from schemas.lane import CONTROL_PARTITION, LaneHead, LaneId

_AWAY_S = 60.0


class PostgresOutbox:
    """The writing end; holds the schema's lock until `close`.

    Comes back after the database was away, for up to a minute an append: whether a commit whose
    answer was lost took place is looked up, never guessed.
    Raises: OutboxInUse where another process writes it, OutboxInvalid where it was made for another
            source, topic, generation or partition count, OutboxAway.
    """

    def __init__(self, place: Place, identity: OutboxIdentity, away_s: float = _AWAY_S) -> None:
        self.where = place
        self.identity = identity
        self.tail = Tail()
        self._away_s = away_s
        self.writer: int = 0
        """The outbox's generation; each opening raises it."""
        self._schema = place.schema
        self._index = CommandIndex(place)
        # The writing thread's, and that of whoever looks up what became of its transaction.
        self._using = threading.RLock()
        self._size = 0
        self._conn = first_connection(place, f"outbox {identity.source}")
        try:
            lock_for_writing(self._conn, place, patient=False)
            self._prepare(self._conn)
            self._establish()
            holder = f"process {os.getpid()} on {socket.gethostname()}"
            (claimed,) = self._conn.execute(query("writer_claim", self._schema), (holder,))
            self.writer = claimed[0]
            self._last_row: int = claimed[1]
            self._heads = read_heads(self._conn, self._schema)
            self._firsts = read_firsts(self._conn, self._schema)
            (held,) = self._conn.execute(query("commands_held", self._schema))
            self._held_commands = bool(held[0])
        except BaseException:
            self._conn.close()
            raise

    # --- opening

    def _prepare(self, conn: Connection) -> None:
        conn.execute(query("durable_commits", self._schema), (False,))
        conn.execute(query("lock_timeout", self._schema), (f"{LOCK_WAIT_S:.0f}s",))

    def _establish(self) -> None:
        conn = self._conn
        (settings,) = conn.execute("SELECT current_setting('fsync')").fetchone() or ("on",)
        if settings != "on":
            raise OutboxInvalid(
                "the database runs with fsync off: nothing would be durable",
                where=str(self.where),
                remedy="set fsync = on in postgresql.conf",
            )
        found = read_identity(conn, self.where)
        if found is None:
            with conn.transaction():
                conn.execute(query("tables", self._schema))
                content = msgspec.json.encode(self.identity)
                conn.execute(query("identity_add", self._schema), (FORMAT, content))
        elif found[0] != self.identity:
            raise OutboxInvalid(
                f"the outbox belongs to {describe(found[0])}, the settings say "
                f"{describe(self.identity)}",
                where=str(self.where),
                remedy="set `outbox.schema` to this source's own, or put the settings back",
            )

    # --- what it holds

    @property
    def place(self) -> str:
        """Database and schema."""
        return str(self.where)

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""
        return dict(self._heads)

    def firsts(self) -> Mapping[int, int]:
        """Return the first event of each lane that is not pruned."""
        return self._firsts

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""
        return self._last_row

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`."""
        return read_rows(self._conn, self._schema, after, limit)

    def lane_rows(self, partition: int) -> list[OutboxRow]:
        """Return every durable event of one lane, in its order: for the short control lane."""
        return read_lane(self._conn, self._schema, partition)

    def command(self, command_id: str) -> KeptCommand | None:
        """Return a durable command, None where the id is new or forgotten; from any thread.

        Raises: OutboxAway.
        """
        return self._index.find(command_id)

    def holds_commands(self) -> bool:
        """Say whether `command` may find anything that was written before this opening."""
        return self._held_commands

    def used_bytes(self) -> int:
        """Return what the events' table and its indexes take."""
        name = psycopg.sql.Identifier(self._schema, "event").as_string(None)
        with self._using, suppress(psycopg.OperationalError):  # away: what it was before
            (found,) = self._conn.execute(query("event_bytes", self._schema), (name,)).fetchall()
            self._size = found[0]
        return self._size

    def free_bytes(self) -> None:
        """Return None: the server's disk is not seen from here."""

    # --- writing

    def append(self, pending: Sequence[Pending], commands: Sequence[Command] = ()) -> None:
        """Number, chain and write events in order, all or none; return behind the commit.

        Raises: OutboxAdopted; psycopg.Error where the database stays away: the outcome is unknown.
        """
        columns, heads = number(pending, self._last_row, self._heads, self._lane)
        deadline = time.monotonic() + self._away_s
        while True:
            try:
                with self._using, self._conn.transaction():
                    self.write(self._conn, columns, heads, commands)
                break
            except psycopg.OperationalError:
                if self._committed(columns, deadline):
                    break
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
        for item, seq in zip(pending, columns.seqs, strict=True):
            item.seq = seq
        self.note(columns, heads)

    def number(self, pending: Sequence[Pending]) -> tuple[Columns, dict[int, LaneHead]]:
        """Return events as they follow what is durable now, and their lanes' new heads."""
        return number(pending, self._last_row, self._heads, self._lane)

    def write(
        self,
        conn: Connection,
        columns: Columns,
        heads: Mapping[int, LaneHead],
        commands: Sequence[Command] = (),
    ) -> None:
        """Write numbered events in a transaction, whosever it is; raises OutboxAdopted.

        The first statement locks the outbox until the commit: what it wrote is durable before the
        next append reads where to go on.
        """
        if not move_last_row(conn, self._schema, self.writer, self._last_row, columns):
            raise self.adopted()
        write(conn, self._schema, columns, heads, commands)

    def note(self, columns: Columns, heads: Mapping[int, LaneHead]) -> None:
        """Go on behind events that were just committed."""
        self._heads.update(heads)
        self._last_row = columns.rows[-1]
        self.tail.add(columns)

    def settle(self, columns: Columns) -> bool:
        """Say whether a transaction took place whose answer was lost; it has ended by then.

        Raises: OutboxAdopted, psycopg.OperationalError.
        """
        return self._committed(columns, time.monotonic() + self._away_s)

    def look_after(self) -> None:
        """Raise OutboxAdopted where another process has opened the outbox since."""
        with self._using, suppress(psycopg.OperationalError):  # the next append says so
            self._require_own()

    def _require_own(self, conn: Connection | None = None) -> None:
        (row,) = (conn or self._conn).execute(query("writer_read", self._schema)).fetchall()
        if row[0] != self.writer:
            raise self.adopted()

    def close(self) -> None:
        """Let the next writer in."""
        self._conn.close()
        self._index.close()

    def prune(self, safe: Safe, limit: int, kept_s: float) -> int:
        """Delete up to `limit` rows that are safe elsewhere, the oldest first; return how many.

        Commands older than `kept_s` are forgotten with their events. None where the database is
        away: the next append comes back, or says so.
        """
        given = {
            "partitions": list(safe.applied), "seqs": list(safe.applied.values()),
            "sent": safe.sent_row, "limit": limit, "control": CONTROL_PARTITION, "kept_s": kept_s,
        }  # fmt: skip
        try:
            with self._using, self._conn.transaction():
                self._require_own()
                deleted = self._conn.execute(query("prune", self._schema), given).rowcount
                if deleted:
                    self._conn.execute(query("commands_forget", self._schema), given)
                    self._firsts = read_firsts(self._conn, self._schema)  # before others see it
        except psycopg.OperationalError:
            return 0
        return deleted

    def _committed(self, columns: Columns, deadline: float) -> bool:
        """Connect again; say whether the events are there, once nothing can change that."""
        while True:
            try:
                with self._using:
                    if self._conn.closed:
                        self._conn = self._again()
                    with self._conn.transaction():
                        (row,) = self._conn.execute(query("writer_settle", self._schema)).fetchall()
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(PAUSE_S)
        if row[0] != self.writer or row[1] not in {self._last_row, columns.rows[-1]}:
            raise self.adopted()
        return bool(row[1] == columns.rows[-1])

    def _again(self) -> Connection:
        """Return a new connection that has the outbox's lock."""
        conn = self.where.connect(f"outbox {self.identity.source}")
        try:
            self._prepare(conn)
            self._require_own(conn)
            lock_for_writing(conn, self.where, patient=True)
        except BaseException:
            conn.close()
            raise
        return conn

    def adopted(self) -> OutboxAdopted:
        """Return the error for an outbox that another process has opened since."""
        return OutboxAdopted(
            "another process has opened this outbox: this one may write no more",
            where=str(self.where),
            remedy="end this process; its clients go to the instance that has the outbox",
        )

    def _lane(self, partition: int) -> LaneId:
        return LaneId(self.identity.source, self.identity.generation, partition)
