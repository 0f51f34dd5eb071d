from collections.abc import Callable
from pathlib import Path

import pytest

from eventlog.outbox.sqlite_reader import FORMAT
from tests.compose.cli.conftest import Done
from tests.eventlog.app import App, opened
from tests.eventlog.outbox.test_upgrade import made_as


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "memferry-outbox.db"


def test_an_outbox_of_an_earlier_format_is_moved_on_request(
    path: Path, memferry: Callable[..., Done]
) -> None:
    made_as(1, path)

    dry = memferry("upgrade", "--dry-run")
    refused = memferry("outbox")
    done = memferry("upgrade")
    again = memferry("upgrade", "--json")

    assert (dry.code, done.code) == (0, 0)
    assert f"would be moved from format 1 to format {FORMAT}" in dry.out
    assert f"moved from format 1 to format {FORMAT}" in done.out
    assert refused.code == 2
    assert "memferry upgrade" in refused.said
    assert again.json()["outbox"] == {"found": FORMAT, "format": FORMAT}


def test_an_outbox_in_use_is_not_moved(path: Path, memferry: Callable[..., Done]) -> None:
    app = App(path)

    done = memferry("upgrade")

    app.close()
    assert done.code == 2
    assert "has the outbox open for writing" in done.said


def test_an_outbox_tells_what_it_holds_and_that_it_is_whole(
    path: Path, memferry: Callable[..., Done]
) -> None:
    app = App(path)
    app.ferry.record_all([opened(str(number)) for number in range(10)])[-1].durable(10)

    shown = memferry("outbox", "--check")
    told = memferry("outbox", "--json")

    app.close()
    assert shown.code == 0, shown.err
    assert "outbox of app-1" in shown.out
    assert "10 events" in shown.out
    assert "every event continues the one before it" in shown.out
    facts = told.json()
    assert (facts["last_row"], facts["first_kept"], facts["writer"]) == (10, 1, 1)
    assert sum(lane["seq"] for lane in facts["lanes"].values()) == 10


def test_a_broken_outbox_is_a_finding(path: Path, memferry: Callable[..., Done]) -> None:
    app = App(path)
    app.ferry.record_all([opened(str(number)) for number in range(10)])[-1].durable(10)
    app.ferry._outbox._db.execute("UPDATE event SET stream = 'account/x' WHERE row = 4")  # type: ignore[attr-defined]
    app.close()

    done = memferry("outbox", "--check")

    assert done.code == 1
    assert "row 4: event" in done.out
    assert "of 'account/x' says that it is" in done.out
