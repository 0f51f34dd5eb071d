"""The SQLite outbox: one file a source, one writer, every commit followed by an fsync."""

import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import apsw
import msgspec

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
from eventlog.outbox.integrity import require_whole_end
from eventlog.outbox.numbering import number
from eventlog.outbox.sqlite_commands import CommandIndex, write_commands
from eventlog.outbox.sqlite_file import (
    lock_for_writing,
    open_for_writing,
    shut_out,
    writable,
    write_ahead,
    writer_of,
)
from eventlog.outbox.sqlite_insert import insert
from eventlog.outbox.sqlite_prune import prune
from eventlog.outbox.sqlite_reader import (
    FORMAT,
    LAST_ROW,
    damage_named,
    read_firsts,
    read_heads,
    read_identity,
    read_rows,
    require_recent_sqlite,
)
from eventlog.outbox.tail import Tail
from schemas.lane import LaneHead, LaneId

_PAGES_USED = (
    "SELECT (SELECT page_count FROM pragma_page_count) "
    "- (SELECT freelist_count FROM pragma_freelist_count)"
)
_MOVE_HEAD = (
    "ON CONFLICT (partition) DO UPDATE "
    "SET seq = excluded.seq, digest = excluded.digest, epoch = excluded.epoch"
)


class SqliteOutbox:
    """The writing end of an outbox file; holds the file's lock until `close`.

    Raises: OutboxInUse where another process writes it, OutboxInvalid where it is damaged or was
            made for another source, topic, generation or partition count, OutboxUnwritable.
    """

    def __init__(self, path: Path, identity: OutboxIdentity) -> None:
        self.path = path
        self.identity = identity
        self.tail = Tail()
        self._seen_version = -1
        self._index = CommandIndex(path)
        require_recent_sqlite()
        with writable(path), damage_named(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = open_for_writing(path)
            try:
                self._writer = writer_of(self._db)
                self._lock = lock_for_writing(path, self._writer)
            except BaseException:
                self._db.close()
                raise
        try:
            with writable(path), damage_named(path):
                self._establish(identity)
                # Behind the lock: until then the file could be adopted by somebody else.
                self._require_own()
                shut_out(self._db, self._writer)
                require_whole_end(self._db, path, identity)
                self._heads = read_heads(self._db)
                self._firsts = read_firsts(self._db)
                self._last_row: int = self._db.execute(LAST_ROW).get
                self._page_bytes: int = self._db.execute("PRAGMA page_size").get
                self._held_commands = bool(
                    self._db.execute("SELECT EXISTS (SELECT 1 FROM command)").get
                )
        except BaseException:
            self._db.close()
            os.close(self._lock)
            raise

    def _establish(self, identity: OutboxIdentity) -> None:
        found = read_identity(self._db, self.path)
        if found is None:
            write_ahead(self._db, self.path)
            with self._db:
                self._db.execute(files(__package__).joinpath("tables.sql").read_text("utf-8"))
                self._db.execute(
                    "INSERT INTO identity VALUES (1, ?, ?, 1)",
                    (FORMAT, msgspec.json.encode(identity)),
                )
        elif found != identity:
            raise OutboxInvalid(
                f"the outbox belongs to {_describe(found)}, the settings say {_describe(identity)}",
                where=str(self.path),
                remedy="set `outbox.path` to this source's own file, or put the settings back",
            )
        else:
            write_ahead(self._db, self.path)

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""
        return dict(self._heads)

    def firsts(self) -> Mapping[int, int]:
        """Return the first event of each lane that is not pruned."""
        return self._firsts

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""
        return self._last_row

    def lane_rows(self, partition: int) -> list[OutboxRow]:
        """Return every durable event of one lane, in its order: for the short control lane."""
        found = self._db.execute(
            "SELECT row, partition, seq, stream, event FROM event WHERE partition = ? ORDER BY seq",
            (partition,),
        )
        return [OutboxRow(*row) for row in found]

    def append(self, pending: Sequence[Pending], commands: Sequence[Command] = ()) -> None:
        """Number, chain and write events in order, all or none; return after the fsync.

        Raises: OutboxAdopted; apsw.Error: the outcome of the commit is then unknown and the outbox
                must be reopened before anything more is acknowledged.
        """
        columns, heads = number(pending, self._last_row, self._heads, self._lane)
        try:
            with self._db:
                insert(self._db, "event", columns)
                if commands:
                    write_commands(self._db, commands, columns.as_rows())
                lanes = [(p, head.seq, head.digest, head.epoch) for p, head in heads.items()]
                insert(self._db, "lane", list(zip(*lanes, strict=True)), _MOVE_HEAD)
        except apsw.ConstraintError:
            self._require_own()
            raise
        for item, seq in zip(pending, columns.seqs, strict=True):
            item.seq = seq
        self._heads.update(heads)
        self._last_row = columns.rows[-1]
        self.tail.add(columns)

    def look_after(self) -> None:
        """Raise OutboxAdopted where another process has taken the file; cheap, for a quiet hour."""
        version: int = self._db.execute("PRAGMA data_version").get
        if version != self._seen_version:
            self._require_own()
            self._seen_version = version

    def prune(self, safe: Safe, limit: int, kept_s: float) -> int:
        """Delete up to `limit` rows that are safe elsewhere; return how many.

        Commands older than `kept_s` are forgotten with their events. Nothing goes where the disk
        has no room even for that: no promise depends on it.
        """
        try:
            with self._db:
                deleted = prune(self._db, self._heads, safe, limit, kept_s)
                self._require_own()
                if deleted:
                    self._firsts = read_firsts(self._db)  # known before others see it
        except (apsw.FullError, apsw.BusyError):
            return 0
        return deleted

    def _require_own(self) -> None:
        if writer_of(self._db) != self._writer:
            raise OutboxAdopted(
                "another process has adopted this outbox: this one may write no more",
                where=str(self.path),
                remedy="end this process; its clients go to the instance that adopted the outbox",
            )

    def command(self, command_id: str) -> KeptCommand | None:
        """Return a durable command, None where the id is new or forgotten; from any thread."""
        return self._index.find(command_id)

    def holds_commands(self) -> bool:
        """Say whether `command` may find anything that was written before this opening."""
        return self._held_commands

    @property
    def place(self) -> str:
        """The file's path."""
        return str(self.path)

    def used_bytes(self) -> int:
        """Return what the file's rows take; pages that are free for reuse are not counted."""
        pages: int = self._db.execute(_PAGES_USED).get
        return pages * self._page_bytes

    def free_bytes(self) -> int:
        """Return what an ordinary user may still write on the file's disk."""
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`."""
        return read_rows(self._db, after, limit)

    def close(self) -> None:
        """Let the next writer in."""
        self._index.close()
        self._db.close()
        if self._lock >= 0:  # closed a second time, the number may be another's lock by now
            os.close(self._lock)
            self._lock = -1

    def _lane(self, partition: int) -> LaneId:
        return LaneId(self.identity.source, self.identity.generation, partition)


def _describe(identity: OutboxIdentity) -> str:
    return (
        f"source {identity.source!r}, topic {identity.topic!r} generation {identity.generation} "
        f"with {identity.partitions} partitions"
    )
