"""An outbox whose events do not continue one another is found, its end at each opening."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.integrity import TAIL_EVENTS, check_whole
from eventlog.outbox.sqlite import SqliteOutbox
from schemas.lane import CONTROL_PARTITION
from tests.eventlog.app import IDENTITY
from tests.eventlog.outbox.appender import Item

Damage = Callable[[apsw.Connection], object]
EVENTS = 60


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


def filled(path: Path, events: int = EVENTS) -> None:
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.append([Item(CONTROL_PARTITION, "memferry/app-1", "opened")])
    outbox.append([Item(n % 3, f"account/{n}", str(n)) for n in range(events)])
    outbox.close()


def damage(path: Path, how: Damage) -> None:
    db = apsw.Connection(str(path))
    how(db)
    db.close()


DAMAGES: dict[str, tuple[Damage, str]] = {
    "the newest event of a lane is gone": (
        lambda db: db.execute("DELETE FROM event WHERE row = 60"),
        "ends at seq 19, its head says 20",
    ),
    "an event in the middle is gone": (
        lambda db: db.execute("DELETE FROM event WHERE row = 40"),
        "missing from the log",
    ),
    "an event was altered": (
        lambda db: db.execute(
            "UPDATE event SET event = CAST(replace(CAST(event AS TEXT), '\"38\"', '\"83\"') "
            "AS BLOB) WHERE row = 40"
        ),
        "its chain is",
    ),
    "the newest event was altered": (
        lambda db: db.execute(
            "UPDATE event SET event = CAST(replace(CAST(event AS TEXT), '\"58\"', '\"85\"') "
            "AS BLOB) WHERE row = 60"
        ),
        "not the one that its head was made of",
    ),
    "an event is no event": (
        lambda db: db.execute("UPDATE event SET event = x'00' WHERE row = 40"),
        "not a CloudEvents",
    ),
    "an event stands at another's place": (
        lambda db: db.execute("UPDATE event SET stream = 'account/x' WHERE row = 40"),
        "of 'account/x' says that it is",
    ),
    "a lane's head is an older one": (
        lambda db: db.execute("UPDATE lane SET seq = 19 WHERE partition = 1"),
        "ends at seq 20, its head says 19",
    ),
    "a lane's head is gone": (
        lambda db: db.execute("DELETE FROM lane WHERE partition = 2"),
        "its newest row is 60, its lanes hold 41 events",
    ),
    "the control lane is gone": (
        lambda db: db.execute("DELETE FROM event WHERE partition = -1"),
        "never pruned",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_an_outbox_with_a_wrong_end_is_not_opened(name: str, path: Path) -> None:
    filled(path)
    how, said = DAMAGES[name]
    damage(path, how)

    with pytest.raises(OutboxInvalid, match="the outbox file is damaged") as caught:
        SqliteOutbox(path, IDENTITY)

    assert said in caught.value.what
    assert caught.value.where == str(path)
    assert "keep the file" in caught.value.remedy


def test_a_whole_outbox_has_nothing_to_find(path: Path) -> None:
    filled(path)

    assert check_whole(path) == (EVENTS + 1, [])


def test_damage_further_back_than_an_opening_looks_is_found_by_a_whole_check(path: Path) -> None:
    filled(path, 3 * (TAIL_EVENTS + 20))
    damage(path, lambda db: db.execute("DELETE FROM event WHERE row = 20"))
    SqliteOutbox(path, IDENTITY).close()

    count, findings = check_whole(path)

    assert count == 3 * (TAIL_EVENTS + 20)
    assert any("missing from the log" in finding for finding in findings)


def test_an_altered_event_is_found_by_a_whole_check(path: Path) -> None:
    filled(path)
    damage(path, DAMAGES["an event was altered"][0])

    _, findings = check_whole(path)

    (finding,) = findings
    assert finding.startswith("row 43: event 14 does not continue event 13: its chain is")


def test_a_pruned_outbox_is_whole(path: Path) -> None:
    filled(path)
    damage(path, lambda db: db.execute("DELETE FROM event WHERE partition >= 0 AND row <= 30"))

    SqliteOutbox(path, IDENTITY).close()

    assert check_whole(path) == (EVENTS + 1 - 29, [])


def test_an_outbox_whose_events_are_all_pruned_goes_on_counting(path: Path) -> None:
    filled(path)
    damage(path, lambda db: db.execute("DELETE FROM event WHERE partition >= 0"))
    outbox = SqliteOutbox(path, IDENTITY)

    outbox.append([Item(0, "account/a", "a")])

    (row,) = outbox.rows(1, 10)
    assert (row.row, row.seq) == (EVENTS + 2, 21)
    outbox.close()
    assert check_whole(path) == (2, [])
