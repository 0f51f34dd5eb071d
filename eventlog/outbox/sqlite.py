"""The SQLite outbox: one file a source, one writer, every commit followed by an fsync."""

import fcntl
import itertools
import os
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import apsw
import msgspec

from eventlog.outbox.contract import (
    OutboxIdentity,
    OutboxInUse,
    OutboxInvalid,
    OutboxRow,
    Pending,
)
from eventlog.outbox.sqlite_reader import (
    BUSY_MS,
    FORMAT,
    LAST_ROW,
    damage_named,
    read_heads,
    read_identity,
    read_rows,
    require_recent_sqlite,
)
from eventlog.outbox.tail import Tail
from schemas import envelope
from schemas.lane import LaneHead, LaneId, genesis

FIRST_EPOCH = 1
"""The epoch of every lane until a switch's barrier raises it."""
_INSERTS = [
    (size, f"INSERT INTO event VALUES {', '.join(['(?, ?, ?, ?, ?)'] * size)}")  # noqa: S608
    for size in (512, 64, 8, 1)
]


class SqliteOutbox:
    """The writing end of an outbox file; holds the file's lock until `close`.

    Raises: OutboxInUse where another process writes it, OutboxInvalid where it is damaged or was
            made for another source, topic, generation or partition count.
    """

    def __init__(self, path: Path, identity: OutboxIdentity) -> None:
        self.path = path
        self.identity = identity
        self.tail = Tail()
        require_recent_sqlite()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _lock_for_writing(path)
        try:
            with damage_named(path):
                self._db = _open_for_writing(path)
                self._establish(identity)
                self._heads = read_heads(self._db)
                self._last_row: int = self._db.execute(LAST_ROW).get
        except BaseException:
            os.close(self._lock)
            raise

    def _establish(self, identity: OutboxIdentity) -> None:
        found = read_identity(self._db, self.path)
        if found is None:
            _write_ahead(self._db, self.path)
            with self._db:
                self._db.execute(files(__package__).joinpath("tables.sql").read_text("utf-8"))
                self._db.execute(
                    "INSERT INTO identity VALUES (1, ?, ?)",
                    (FORMAT, msgspec.json.encode(identity)),
                )
        elif found != identity:
            raise OutboxInvalid(
                f"the outbox belongs to {_describe(found)}, the settings say {_describe(identity)}",
                where=str(self.path),
                remedy="set `outbox.path` to this source's own file, or put the settings back",
            )
        else:
            _write_ahead(self._db, self.path)

    def heads(self) -> Mapping[int, LaneHead]:
        """Return the last event of each lane that has one."""
        return dict(self._heads)

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""
        return self._last_row

    def append(self, pending: Sequence[Pending]) -> None:
        """Number, chain and write events in order, all or none; return after the fsync.

        Raises: apsw.Error; the outcome of the commit is then unknown and the outbox must be
                reopened before anything more is acknowledged.
        """
        rows: list[OutboxRow] = []
        row = self._last_row
        places: dict[int, tuple[int, str, int]] = {}
        seal, digest_of = envelope.seal, envelope.digest
        for item in pending:
            partition = item.partition
            place = places.get(partition)
            if place is None:
                head = self._heads.get(partition) or genesis(self._lane(partition))
                place = (head.seq, head.digest, max(head.epoch, FIRST_EPOCH))
            seq = place[0] + 1
            # A barrier raises its lane's epoch, what follows keeps it: it never falls in a lane.
            epoch = place[2] if place[2] > item.epoch else item.epoch
            event = seal(item.head, item.data, seq, epoch, place[1])
            places[partition] = (seq, digest_of(event), epoch)
            row += 1
            rows.append(OutboxRow(row, partition, seq, item.stream, event))
        heads = {p: LaneHead(*place) for p, place in places.items()}
        with self._db:
            self._insert(rows)
            self._db.executemany(
                "INSERT INTO lane VALUES (?, ?, ?, ?) ON CONFLICT (partition) DO UPDATE "
                "SET seq = excluded.seq, digest = excluded.digest, epoch = excluded.epoch",
                [(p, head.seq, head.digest, head.epoch) for p, head in heads.items()],
            )
        for item, written in zip(pending, rows, strict=True):
            item.seq = written.seq
        self._heads.update(heads)
        self._last_row = row
        self.tail.add(rows)

    def _insert(self, rows: Sequence[OutboxRow]) -> None:
        """Insert many rows a statement: each statement gives up the interpreter's lock once."""
        start = 0
        for size, statement in _INSERTS:
            while len(rows) - start >= size:
                chunk = rows[start : start + size]
                self._db.execute(statement, tuple(itertools.chain.from_iterable(chunk)))
                start += size

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`."""
        return read_rows(self._db, after, limit)

    def close(self) -> None:
        """Let the next writer in."""
        self._db.close()
        if self._lock >= 0:  # closed a second time, the number may be another's lock by now
            os.close(self._lock)
            self._lock = -1

    def _lane(self, partition: int) -> LaneId:
        return LaneId(self.identity.source, self.identity.generation, partition)


def _lock_for_writing(path: Path) -> int:
    handle = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(handle, 32, 0).decode().strip() or "unknown"
        os.close(handle)
        raise OutboxInUse(
            f"process {holder} has the outbox open for writing",
            where=str(path),
            remedy="stop that process, or give this instance a source and outbox of its own",
        ) from error
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def _open_for_writing(path: Path) -> apsw.Connection:
    new = not path.exists()
    db = apsw.Connection(str(path))
    if new:
        path.chmod(0o600)
    db.set_busy_timeout(BUSY_MS)
    return db


def _write_ahead(db: apsw.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    # NORMAL would skip the fsync behind every commit: durable receipts would be a lie.
    db.execute("PRAGMA synchronous = FULL")
    modes = (db.execute("PRAGMA journal_mode").get, db.execute("PRAGMA synchronous").get)
    if modes != ("wal", 2):
        raise OutboxInvalid(
            f"SQLite refuses write-ahead logging with full fsync: {modes}",
            where=str(path),
            remedy="put the outbox on a local disk",
        )


def _describe(identity: OutboxIdentity) -> str:
    return (
        f"source {identity.source!r}, topic {identity.topic!r} generation {identity.generation} "
        f"with {identity.partitions} partitions"
    )
