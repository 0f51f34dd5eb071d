"""The SQLite outbox: its fsyncs, its lock, and its file."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxInUse, OutboxInvalid
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from tests.eventlog.app import IDENTITY, refuse_commits, require_whole_lanes, rows_of
from tests.eventlog.outbox.appender import Item
from tests.eventlog.outbox.disk import WatchedDisk


@pytest.fixture
def disk() -> Iterator[WatchedDisk]:
    watched = WatchedDisk()
    yield watched
    watched.unregister()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "place" / "outbox.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[SqliteOutbox]:
    opened = SqliteOutbox(path, IDENTITY)
    yield opened
    opened.close()


def items(count: int) -> list[Item]:
    return [Item(number % 3, f"account/{number}", "x" * 100) for number in range(count)]


def test_every_append_returns_behind_an_fsync(path: Path, disk: WatchedDisk) -> None:
    outbox = SqliteOutbox(path, IDENTITY)
    before = disk.syncs

    for _ in range(50):
        outbox.append(items(1))

    assert disk.syncs - before >= 50
    outbox.close()


def test_an_append_whose_fsync_failed_is_not_acknowledged(path: Path, disk: WatchedDisk) -> None:
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.append(items(3))
    disk.sync_error = apsw.IOError("the disk refuses to sync")

    with pytest.raises(apsw.IOError):
        outbox.append(items(2))

    disk.mend()
    assert outbox.last_row() == 3
    outbox.close()
    again = SqliteOutbox(path, IDENTITY)
    require_whole_lanes(again.rows(0, 100))
    again.close()


def test_the_file_writes_ahead_and_syncs_in_full(outbox: SqliteOutbox) -> None:
    assert outbox._db.execute("PRAGMA journal_mode").get == "wal"
    assert outbox._db.execute("PRAGMA synchronous").get == 2


def test_the_file_is_the_users_alone(outbox: SqliteOutbox) -> None:
    assert outbox.path.stat().st_mode & 0o777 == 0o600


def test_an_append_that_the_file_refuses_leaves_nothing(outbox: SqliteOutbox) -> None:
    outbox.append(items(3))
    heads = outbox.heads()
    refuse_commits(outbox.path)

    with pytest.raises(apsw.ConstraintError, match="the disk is gone"):
        outbox.append(items(2))

    assert (outbox.heads(), outbox.last_row(), len(rows_of(outbox.path))) == (heads, 3, 3)


def test_another_process_that_writes_is_named(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.eventlog.outbox.appender", "sqlite", str(path)],
        stdout=subprocess.PIPE,
    )
    assert writer.stdout is not None
    writer.stdout.readline()

    with pytest.raises(OutboxInUse, match=f"process {writer.pid} has the outbox open"):
        SqliteOutbox(path, IDENTITY)

    writer.kill()
    writer.communicate()
    SqliteOutbox(path, IDENTITY).close()


def whole(path: Path) -> bytes:
    """Return the content of an outbox that holds a few hundred events."""
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.append(items(300))
    outbox.close()
    return path.read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"no database at all" * 500,
        lambda content: b"\xa5" * len(content),
        lambda content: content[:100] + b"\xa5" * (len(content) - 100),
        lambda content: content[:4096] + b"\xa5" * (len(content) - 4096),
        lambda content: content[:4096] + bytes(len(content) - 4096),
        lambda content: content[:5000],
    ],
    ids=["words", "bytes", "behind the header", "all tables", "zeros", "cut off"],
)
def test_a_damaged_file_is_refused_and_kept_as_it_is(path: Path, damage: object) -> None:
    assert callable(damage)
    damaged = damage(whole(path))
    path.write_bytes(damaged)

    for opening in (lambda: SqliteOutbox(path, IDENTITY), lambda: SqliteOutboxReader(path)):
        with pytest.raises(OutboxInvalid, match="the outbox file is damaged") as caught:
            opening()
        assert caught.value.where == str(path)
        assert "keep the file" in caught.value.remedy
        assert path.read_bytes() == damaged


def test_damage_behind_the_identity_is_found_by_the_writer_at_once(path: Path) -> None:
    content = whole(path)
    path.write_bytes(content[: 2 * 4096] + b"\xa5" * (len(content) - 2 * 4096))

    for _ in range(2):  # the second time says that the lock was let go
        with pytest.raises(OutboxInvalid, match="the outbox file is damaged"):
            SqliteOutbox(path, IDENTITY)


def test_a_file_that_was_mended_is_opened_by_the_same_process(path: Path) -> None:
    content = whole(path)
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(OutboxInvalid):
        SqliteOutbox(path, IDENTITY)

    path.write_bytes(content)

    outbox = SqliteOutbox(path, IDENTITY)
    assert outbox.last_row() == 300
    outbox.close()


def test_a_database_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE trades (id)")
    db.close()

    for opening in (lambda: SqliteOutbox(path, IDENTITY), lambda: SqliteOutboxReader(path)):
        with pytest.raises(OutboxInvalid, match="no outbox") as caught:
            opening()
        assert caught.value.where == str(path)
        assert caught.value.remedy

    db = apsw.Connection(str(path))
    assert db.execute("SELECT group_concat(name) FROM sqlite_schema").get == "trades"
    db.close()


def test_a_file_of_a_later_format_is_refused(path: Path) -> None:
    whole(path)
    db = apsw.Connection(str(path))
    db.execute("UPDATE identity SET format = 3")
    db.close()

    for opening in (lambda: SqliteOutbox(path, IDENTITY), lambda: SqliteOutboxReader(path)):
        with pytest.raises(OutboxInvalid, match="has format 3, this memferry writes format 2"):
            opening()
