"""Outbox files of every earlier format are moved to the present one, or refused naming both."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxInUse, OutboxInvalid
from eventlog.outbox.integrity import check_whole
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import FORMAT, SqliteOutboxReader
from eventlog.outbox.upgrade import upgrade
from schemas.envelope import Context
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    App,
    account,
    deposited,
    require_whole_lanes,
    rows_of,
)

MakeApp = Callable[..., App]
EARLIER = range(1, FORMAT)


def made_as(version: int, path: Path) -> None:
    """Make a file as the memferry of that format made it."""
    db = apsw.Connection(str(path))
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(Path(__file__).with_name(f"format_{version}.sql").read_text("utf-8"))
    db.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


@pytest.mark.parametrize("version", EARLIER)
def test_a_file_of_an_earlier_format_is_moved_with_all_that_it_holds(
    version: int, path: Path, make_app: MakeApp
) -> None:
    made_as(version, path)

    done = upgrade(path)

    assert (done.found, done.format) == (version, FORMAT)
    assert check_whole(path) == (3, [])
    app = make_app(path)
    assert [app.accounts[name].balance for name in ("a", "b")] == [5, 0]
    app.ferry.record(deposited("a", 1, 6), context=Context(commandid="c-1")).durable(DEADLINE_S)
    require_whole_lanes(rows_of(path))
    assert app.accounts["b"].owner == account("b").owner


@pytest.mark.parametrize("version", EARLIER)
def test_a_file_of_an_earlier_format_is_not_opened_and_names_the_command(
    version: int, path: Path
) -> None:
    made_as(version, path)

    for opening in (lambda: SqliteOutbox(path, IDENTITY), lambda: SqliteOutboxReader(path)):
        with pytest.raises(OutboxInvalid) as caught:
            opening()
        assert f"has format {version}, this memferry writes format {FORMAT}" in caught.value.what
        assert "memferry upgrade" in caught.value.remedy


@pytest.mark.parametrize("version", EARLIER)
def test_a_dry_run_changes_nothing(version: int, path: Path) -> None:
    made_as(version, path)
    before = path.read_bytes()

    done = upgrade(path, dry_run=True)

    assert (done.found, done.format) == (version, FORMAT)
    assert path.read_bytes() == before


def test_a_file_moved_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    made_as(1, tmp_path / "moved.db")
    upgrade(tmp_path / "moved.db")
    SqliteOutbox(tmp_path / "new.db", IDENTITY).close()
    columns = (
        'SELECT t.name, c.name, c.type, c.pk, c."notnull" FROM sqlite_schema t, '
        "pragma_table_info(t.name) c WHERE t.type = 'table' ORDER BY t.name, c.cid"
    )

    moved, new = (
        apsw.Connection(str(tmp_path / name)).execute(columns).fetchall()
        for name in ("moved.db", "new.db")
    )

    assert moved == new


def test_a_file_of_the_present_format_is_left_as_it_is(path: Path) -> None:
    SqliteOutbox(path, IDENTITY).close()
    before = path.read_bytes()

    assert upgrade(path) == (FORMAT, FORMAT)

    assert path.read_bytes() == before


def test_a_file_of_a_later_format_is_refused_naming_both(path: Path) -> None:
    SqliteOutbox(path, IDENTITY).close()
    db = apsw.Connection(str(path))
    db.execute("UPDATE identity SET format = 99")
    db.close()

    with pytest.raises(OutboxInvalid) as caught:
        upgrade(path)

    assert f"has format 99, this memferry writes format {FORMAT}" in caught.value.what
    assert "install a memferry that knows format 99" in caught.value.remedy


def test_a_file_that_an_app_writes_is_not_moved(path: Path) -> None:
    outbox = SqliteOutbox(path, IDENTITY)

    with pytest.raises(OutboxInUse):
        upgrade(path)

    outbox.close()
    upgrade(path)


def test_what_is_no_outbox_is_left_alone(path: Path) -> None:
    with pytest.raises(OutboxInvalid, match="there is no outbox file"):
        upgrade(path)
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE trades (id)")
    db.close()

    with pytest.raises(OutboxInvalid, match="no outbox"):
        upgrade(path)
