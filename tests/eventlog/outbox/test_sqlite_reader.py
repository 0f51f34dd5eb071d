"""The reading end of the SQLite outbox: it sees what is committed and writes nothing."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from schemas.lane import CONTROL_PARTITION
from tests.eventlog.app import IDENTITY
from tests.eventlog.outbox.appender import Item


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


def test_a_reader_of_no_file_is_refused_and_makes_none(path: Path) -> None:
    with pytest.raises(OutboxInvalid, match="there is no outbox file") as caught:
        SqliteOutboxReader(path)

    assert caught.value.where == str(path)
    assert not path.exists()


def test_a_reader_sees_what_is_committed_while_the_writer_goes_on(outbox: SqliteOutbox) -> None:
    reader = SqliteOutboxReader(outbox.path)
    outbox.append(items(4))
    before = reader.changed()

    outbox.append([Item(CONTROL_PARTITION, "memferry/app-1", "c")])

    assert reader.changed() != before
    assert reader.changed() == reader.changed()
    assert reader.identity == IDENTITY
    assert reader.last_row() == 5
    assert reader.heads() == outbox.heads()
    assert reader.rows(0, 100) == list(outbox.rows(0, 100))
    reader.close()


def test_a_reader_finds_an_event_by_its_place_in_its_lane(outbox: SqliteOutbox) -> None:
    outbox.append(items(7))
    reader = SqliteOutboxReader(outbox.path)

    assert reader.at(0, 3) == reader.rows(6, 1)[0]
    assert reader.at(0, 4) is None
    assert reader.at(7, 1) is None
    reader.close()


def test_a_reader_cannot_write(outbox: SqliteOutbox) -> None:
    reader = SqliteOutboxReader(outbox.path)

    with pytest.raises(apsw.ReadOnlyError):
        reader._db.execute("DELETE FROM event")
    reader.close()
