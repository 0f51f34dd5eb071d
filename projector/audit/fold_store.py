"""The state that the log gives, in a file: entities, their rows' digests, how far it was read.

One SQLite file a projection, kept from one audit to the next; every step of it is one transaction,
so an audit that was killed goes on where it was. It can always be made anew from the log.
"""

import fcntl
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from importlib.resources import files
from pathlib import Path
from typing import IO, NamedTuple

import apsw
import msgspec

from schemas.errors import FerryError
from schemas.lane import LaneHead
from schemas.table_sums import Sums

_FORMAT = b"2"
_ROW_BYTES = 18
_LOOK_S = 0.1
_CACHE = "PRAGMA cache_size = -32768"
_GET = (
    "SELECT source, stream, ordinal, last_offset, state, rows FROM entity "
    "WHERE kind = ? AND partition = ? AND key = ?"
)
_PUT = "INSERT OR REPLACE INTO entity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_NEWEST = (
    "SELECT source, stream, ordinal, last_offset, state, rows FROM entity "
    "WHERE windowed AND kind = ? AND partition = ? AND stream = ? ORDER BY ordinal DESC LIMIT ?"
)
_ALL = (
    "SELECT source, stream, ordinal, last_offset, state, rows FROM entity "
    "WHERE kind = ? AND partition = ?"
)


class FoldInUse(FerryError):
    """Another audit of this projection has the fold's file."""


class Stored(NamedTuple):
    """One entity: its state packed, its place in its window, its last event, its rows' digests.

    The place (`ordinal`) is where its first event stands; of a recorded ring, its number in it.
    """

    source: str
    stream: str
    ordinal: int
    last_offset: int
    state: bytes
    rows: bytes

    def digests(self) -> Iterator[tuple[int, int, int]]:
        """Yield each row's table (by number), bucket and digest."""
        rows = self.rows
        for at in range(0, len(rows), _ROW_BYTES):
            digest = int.from_bytes(rows[at + 2 : at + _ROW_BYTES], "big")
            yield rows[at], rows[at + 1], digest


def packed_row(table: int, bucket: int, digest: int) -> bytes:
    """Return one row's digest as `Stored.rows` has it."""
    return bytes((table, bucket)) + digest.to_bytes(_ROW_BYTES - 2, "big")


Place = tuple[int, int, bytes]
"""(number of the kind, partition, packed key)."""


class Step(NamedTuple):
    """What is written together: all that reading on changed."""

    entities: dict[Place, Stored | None]
    windowed: frozenset[int]
    """Numbers of kinds of which memory holds a window."""
    totals: dict[tuple[int, str, str], Sums]
    places: dict[int, tuple[int, str]]
    lanes: dict[tuple[str, int], LaneHead]
    failures: dict[str, tuple[str, str]]
    marks: dict[tuple[str, int], bytes]


class FoldStore:
    """The file; with `path` None a temporary one, which is gone at the end."""

    def __init__(self, path: Path | None, patience_s: float = 0.0) -> None:
        self._lock: IO[bytes] | None = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if path is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="memferry-fold-")
            path = Path(self._temporary.name) / "fold.db"
        else:
            self._lock = _locked(path, patience_s)
        self.path = path
        try:
            self._db = self._open()
        except BaseException:
            self._release()
            raise

    def _open(self) -> apsw.Connection:
        try:
            db = apsw.Connection(str(self.path))
            _prepare(db)
        except (apsw.CorruptError, apsw.NotADBError):  # it is made again from the log
            _remove(self.path)
            db = apsw.Connection(str(self.path))
            _prepare(db)
        return db

    def clear(self) -> None:
        """Forget everything: the log is read from its beginning."""
        self._db.close()
        _remove(self.path)
        self._db = self._open()

    def close(self) -> None:
        """Give the file back."""
        self._db.close()
        self._release()

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    # --- what it was made with

    def note(self, name: str) -> bytes | None:
        """Return what was noted under a name."""
        value: bytes | None = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).get
        return value

    def take_note(self, name: str, value: bytes) -> None:
        """Note something under a name."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    # --- how far it is

    def places(self) -> dict[int, tuple[int, str]]:
        """Return of each partition the next offset, and the SHA-256 of the record below it."""
        return {p: (offset, tail) for p, offset, tail in self._db.execute("SELECT * FROM place")}

    def lanes(self) -> dict[tuple[str, int], LaneHead]:
        """Return the head of each lane, (source, partition) → head."""
        found = self._db.execute("SELECT * FROM lane")
        return {(source, p): LaneHead(*head) for source, p, *head in found}

    def totals(self) -> dict[tuple[int, str, str], Sums]:
        """Return the sums of the rows by (partition, source, table)."""
        found = self._db.execute("SELECT * FROM total")
        return {(p, source, table): Sums.unpacked(sums) for p, source, table, sums in found}

    def failures(self) -> dict[str, tuple[str, str]]:
        """Return the streams that did not fold: what, and where."""
        return {s: (what, place) for s, what, place in self._db.execute("SELECT * FROM failure")}

    def marks(self) -> dict[tuple[str, int], bytes]:
        """Return what was noted at the newest barrier of each (source, partition)."""
        return {(source, p): mark for source, p, mark in self._db.execute("SELECT * FROM mark")}

    # --- entities

    def get(self, place: Place) -> Stored | None:
        """Return an entity."""
        found = self._db.execute(_GET, place).fetchone()
        return None if found is None else Stored(*found)

    def newest(self, kind: int, partition: int, stream: str, count: int) -> Iterator[Stored]:
        """Yield the newest entities of a windowed stream, the newest first."""
        for row in self._db.execute(_NEWEST, (kind, partition, stream, count)):
            yield Stored(*row)

    def all(self, kind: int, partition: int) -> Iterator[Stored]:
        """Yield every entity of a kind in a partition."""
        for row in self._db.execute(_ALL, (kind, partition)):
            yield Stored(*row)

    def commit(self, step: Step) -> None:
        """Write what reading on changed: all of it or nothing."""
        gone = [place for place, entity in step.entities.items() if entity is None]
        written = (
            (kind, p, key, e.source, e.stream, kind in step.windowed, e.ordinal, e.last_offset,
             e.state, e.rows)
            for (kind, p, key), e in step.entities.items()
            if e is not None
        )  # fmt: skip
        with self._db:
            run = self._db.executemany
            run("DELETE FROM entity WHERE kind = ? AND partition = ? AND key = ?", gone)
            run(_PUT, written)
            run(
                "INSERT OR REPLACE INTO total VALUES (?, ?, ?, ?)",
                ((*place, sums.packed()) for place, sums in step.totals.items()),
            )
            run("INSERT OR REPLACE INTO place VALUES (?, ?, ?)", _flat(step.places))
            run(
                "INSERT OR REPLACE INTO lane VALUES (?, ?, ?, ?, ?)",
                ((*lane, h.seq, h.digest, h.epoch) for lane, h in step.lanes.items()),
            )
            run("INSERT OR REPLACE INTO failure VALUES (?, ?, ?)", _flat(step.failures))
            run(
                "INSERT OR REPLACE INTO mark VALUES (?, ?, ?)",
                ((*lane, mark) for lane, mark in step.marks.items()),
            )


def _flat(
    found: dict[int, tuple[int, str]] | dict[str, tuple[str, str]],
) -> Iterable[tuple[object, ...]]:
    return ((name, *values) for name, values in found.items())


def _prepare(db: apsw.Connection) -> None:
    db.set_busy_timeout(1_000)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")  # what a crash takes is read from the log again
    db.execute(_CACHE)
    text = files("projector.sql").joinpath("fold_create.sql").read_text(encoding="utf-8")
    db.execute(text)
    db.execute("INSERT OR IGNORE INTO meta VALUES ('format', ?)", (_FORMAT,))
    if db.execute("SELECT value FROM meta WHERE name = 'format'").get != _FORMAT:
        db.close()
        raise apsw.NotADBError("another format")


def _remove(path: Path) -> None:
    for name in (path, path.with_name(path.name + "-wal"), path.with_name(path.name + "-shm")):
        with suppress(FileNotFoundError):
            name.unlink()


def _locked(path: Path, patience_s: float) -> IO[bytes]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = path.with_name(path.name + ".lock").open("wb")
    except OSError as error:
        raise FerryError(
            f"the fold's file cannot be made: {error.strerror}",
            where=str(path),
            remedy="set `audit.directory` to one that the audit may write, or to nothing",
        ) from error
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() < deadline:
                time.sleep(_LOOK_S)
                continue
            lock.close()
            raise FoldInUse(
                "another audit of this projection is under way",
                where=str(path),
                remedy="wait for it, or set `audit.directory` to nothing for this one",
            ) from error
        return lock


encode = msgspec.msgpack.encode
"""How states and keys are packed."""
