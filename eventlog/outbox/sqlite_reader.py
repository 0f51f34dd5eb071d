"""The reading end of the SQLite outbox: for the relay, restart and status; it never writes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import apsw
import msgspec

from eventlog.outbox.columns import NONE, Columns
from eventlog.outbox.contract import OutboxIdentity, OutboxInvalid, OutboxRow
from schemas.lane import CONTROL_PARTITION, LaneHead

FORMAT = 2
BUSY_MS = 5_000
_READ = """
SELECT json_group_array(row), json_group_array(partition), json_group_array(seq),
    json_group_array(stream), CAST(group_concat(event, char(10)) AS BLOB)
FROM (SELECT * FROM event WHERE row > ? ORDER BY row LIMIT ?)
"""
_BYTES = (
    "SELECT total(size) FROM "
    "(SELECT length(event) AS size FROM event WHERE row > ? ORDER BY row LIMIT ?)"
)
_numbers = msgspec.json.Decoder(list[int]).decode
_texts = msgspec.json.Decoder(list[str]).decode
_CHUNK_BYTES = 16 * 1024 * 1024
"""Events read at once are smaller together, or one: memory is bounded, and SQLite's values end at
a gigabyte."""
_OLDEST = "SELECT row, seq FROM event WHERE partition = ? ORDER BY seq LIMIT 1"
_FIRSTS = (
    "SELECT partition, coalesce((SELECT min(e.seq) FROM event AS e "
    "WHERE e.partition = lane.partition), seq + 1) FROM lane"
)
LAST_ROW = "SELECT coalesce(sum(seq), 0) FROM lane"
"""Every row is of one lane, and each lane counts its own from 1: so it holds when rows are pruned.
"""
_SQLITE_MIN = 3_051_003  # the WAL-reset corruption was fixed in 3.51.3


class SqliteOutboxReader:
    """The reading end, for the relay: never writes, never checkpoints, sees committed rows only."""

    def __init__(self, path: Path) -> None:
        require_recent_sqlite()
        require_outbox(path)
        self.path = path
        self._db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        self._db.set_busy_timeout(BUSY_MS)
        with damage_named(path):
            identity = read_identity(self._db, path)
        if identity is None:
            raise _no_outbox(path)
        self.identity = identity

    def rows(self, after: int, limit: int) -> list[OutboxRow]:
        """Return durable events in commit order, from the row behind `after`.

        The whole list at once, so that no read stays open and holds up a checkpoint.
        """
        with damage_named(self.path):
            return read_rows(self._db, after, limit)

    def columns(self, after: int, limit: int) -> Columns:
        """Return the same by column."""
        with damage_named(self.path):
            return read_columns(self._db, after, limit)

    def last_row(self) -> int:
        """Return the newest durable row, 0 where there is none."""
        with damage_named(self.path):
            newest: int = self._db.execute(LAST_ROW).get
        return newest

    def first_kept(self) -> int:
        """Return the row from which on every event is still in the file; 1: nothing was pruned.

        Before it are events of the control lane only, which are never pruned.
        """
        with damage_named(self.path):
            pruned, first = False, self.last_row() + 1
            for partition in read_heads(self._db):
                found = self._db.execute(_OLDEST, (partition,)).get
                if partition != CONTROL_PARTITION:
                    pruned = pruned or found is None or found[1] > 1
                    first = min(first, found[0]) if found is not None else first
            return first if pruned else 1

    def writer(self) -> int:
        """Return the file's generation, which each adoption raises."""
        with damage_named(self.path):
            number: int = self._db.execute("SELECT writer FROM identity").get
            return number

    def at(self, partition: int, seq: int) -> OutboxRow | None:
        """Return one event by its place in its lane."""
        with damage_named(self.path):
            for found in self._db.execute(
                "SELECT row, partition, seq, stream, event FROM event "
                "WHERE partition = ? AND seq = ?",
                (partition, seq),
            ):
                return OutboxRow(*found)
        return None

    def heads(self) -> dict[int, LaneHead]:
        """Return the last event of each lane that has one."""
        with damage_named(self.path):
            return read_heads(self._db)

    def changed(self) -> int:
        """Return a number that differs after any commit of the writer: cheaper than rows."""
        version: int = self._db.execute("PRAGMA data_version").get
        return version

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def require_outbox(path: Path) -> None:
    """Check that there is an outbox file; raises OutboxInvalid."""
    if not path.exists():
        raise OutboxInvalid(
            "there is no outbox file",
            where=str(path),
            remedy="start the app once with this settings file, or correct `outbox.path`",
        )


def read_rows(db: apsw.Connection, after: int, limit: int) -> list[OutboxRow]:
    """Return events of an open outbox in commit order; see `read_columns`."""
    return read_columns(db, after, limit).as_rows()


def read_columns(db: apsw.Connection, after: int, limit: int) -> Columns:
    """Return events of an open outbox in commit order, all in one step of SQLite.

    At most `limit`; fewer, but one at least, where they are large.

    A step a row would give up the interpreter's lock once a row, and a busy app takes milliseconds
    to give it back. An event is JSON in one line, so lines can be joined and split.
    """
    while limit > 1 and db.execute(_BYTES, (after, limit)).get > _CHUNK_BYTES:
        limit //= 2
    rows, partitions, seqs, streams, events = db.execute(_READ, (after, limit)).get
    if events is None:
        return NONE
    found = Columns(
        _numbers(rows), _numbers(partitions), _numbers(seqs), _texts(streams), events.split(b"\n")
    )
    # SQLite feeds an aggregate in the order of its subquery, but does not promise to.
    return found.ordered()


def read_heads(db: apsw.Connection) -> dict[int, LaneHead]:
    """Return the last event of each lane of an open outbox."""
    return {
        partition: LaneHead(seq, digest, epoch)
        for partition, seq, digest, epoch in db.execute(
            "SELECT partition, seq, digest, epoch FROM lane"
        )
    }


def read_firsts(db: apsw.Connection) -> dict[int, int]:
    """Return the first event of each lane that is not pruned."""
    return {partition: seq for partition, seq in db.execute(_FIRSTS)}


def read_identity(db: apsw.Connection, path: Path) -> OutboxIdentity | None:
    """Return whose outbox this is, None for a new file; raises OutboxInvalid."""
    if db.execute("SELECT count(*) FROM sqlite_schema").get == 0:
        return None
    version = read_format(db, path)
    if version != FORMAT:
        refuse_format(path, version)
    content = db.execute("SELECT content FROM identity").get
    return msgspec.json.decode(content or b"", type=OutboxIdentity)


def read_format(db: apsw.Connection, path: Path) -> int:
    """Return the format of an outbox file; raises OutboxInvalid where it is none."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    if not {"identity", "lane", "event"} <= tables:
        raise _no_outbox(path)
    version: int | None = db.execute("SELECT format FROM identity").get
    return FORMAT if version is None else version


def refuse_format(path: Path, version: int) -> NoReturn:
    """Raise OutboxInvalid for a file that this memferry neither reads nor writes."""
    raise OutboxInvalid(
        f"the outbox has format {version}, this memferry writes format {FORMAT}",
        where=str(path),
        remedy="stop its app and run `memferry upgrade`"
        if version < FORMAT
        else f"install a memferry that knows format {version}: a file never goes back",
    )


def require_recent_sqlite() -> None:
    """Refuse a SQLite that can corrupt what it keeps; raises OutboxInvalid."""
    if apsw.SQLITE_VERSION_NUMBER < _SQLITE_MIN:
        raise OutboxInvalid(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a write-ahead log",
            remedy="install the apsw wheel, 3.51.3 or later",
        )


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Say of a file that SQLite cannot read that the outbox is damaged."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError, msgspec.MsgspecError) as error:
        raise OutboxInvalid(
            f"the outbox file is damaged: {error}",
            where=str(path),
            remedy="keep the file; its events may be in the topic (`memferry status`)",
        ) from error


def _no_outbox(path: Path) -> OutboxInvalid:
    return OutboxInvalid("the file is no outbox", where=str(path), remedy="correct `outbox.path`")
