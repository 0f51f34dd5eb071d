"""A disk that fails: nothing is called durable that is not, and a restart has all that is."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxUnwritable
from eventlog.receipts import OutcomeUnknown
from tests.eventlog.app import (
    DEADLINE_S,
    App,
    deposited,
    fold,
    opened,
    require_whole_lanes,
    rows_of,
)
from tests.eventlog.outbox.disk import WatchedDisk

MakeApp = Callable[..., App]
FAULTS = [
    ("write_error", apsw.FullError("the disk is full"), "FullError"),
    ("write_error", apsw.IOError("the disk is gone"), "IOError"),
    ("write_error", apsw.ReadOnlyError("the disk is read-only"), "ReadOnlyError"),
    ("sync_error", apsw.IOError("the disk refuses to sync"), "IOError"),
    ("sync_error", apsw.FullError("the disk is full after all"), "FullError"),
]


@pytest.fixture
def disk() -> Iterator[WatchedDisk]:
    watched = WatchedDisk()
    yield watched
    watched.unregister()


@pytest.mark.parametrize(("place", "error", "said"), FAULTS)
def test_a_commit_that_the_disk_refuses_halts_the_shim_and_a_restart_goes_on(
    place: str, error: Exception, said: str, disk: WatchedDisk, make_app: MakeApp
) -> None:
    app = make_app()
    for number in range(20):
        app.ferry.record(opened(str(number))).durable(DEADLINE_S)
    durable = app.memory()
    setattr(disk, place, error)

    unknown = app.ferry.record(deposited("1", 5, 5))

    with pytest.raises(OutcomeUnknown, match=said) as caught:
        unknown.durable(DEADLINE_S)
    assert caught.value.where == "rows 21 to 21"
    assert "restart the app" in caught.value.remedy
    with pytest.raises(OutcomeUnknown):
        app.ferry.record(opened("after"))
    disk.mend()
    app.close()
    again = make_app()
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert again.memory() in (durable, fold(rows))
    assert again.memory() == fold(rows)
    assert len(rows) >= 20
    again.ferry.record(deposited("2", 1, 1)).durable(DEADLINE_S)
    require_whole_lanes(rows_of(app.path))


@pytest.mark.parametrize("file_bytes", [150_000, 400_000])
def test_a_file_that_may_not_grow_halts_the_app_and_keeps_what_was_acknowledged(
    file_bytes: int, tmp_path: Path, make_app: MakeApp
) -> None:
    path = tmp_path / "outbox.db"

    done = subprocess.run(
        [sys.executable, "-m", "tests.eventlog.recording_child", str(path), str(file_bytes)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    *durable, last = done.stdout.splitlines()
    assert last.startswith("halted the outbox could not commit")
    app = make_app(path)
    acknowledged = {line.removeprefix("durable ") for line in durable}
    assert acknowledged
    assert acknowledged <= set(app.accounts)
    assert len(app.accounts) <= len(acknowledged) + 1
    require_whole_lanes(rows_of(path))
    app.ferry.record(opened("after")).durable(DEADLINE_S)
    require_whole_lanes(rows_of(path))


@pytest.mark.parametrize(
    "error",
    [
        apsw.FullError("the disk is full"),
        apsw.IOError("the disk is gone"),
        apsw.ReadOnlyError("the disk is read-only"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_outbox_that_cannot_be_made_is_named_and_may_be_made_later(
    error: Exception, disk: WatchedDisk, make_app: MakeApp
) -> None:
    disk.write_error = error

    with pytest.raises(OutboxUnwritable, match="cannot be opened for writing: the disk") as caught:
        make_app()

    assert caught.value.where.endswith("outbox.db")
    assert "start it again" in caught.value.remedy
    disk.mend()
    make_app().ferry.record(opened("a")).durable(DEADLINE_S)


def test_a_place_that_is_no_directory_is_named(tmp_path: Path, make_app: MakeApp) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OutboxUnwritable) as caught:
        make_app(tmp_path / "file" / "outbox.db")

    assert caught.value.where == str(tmp_path / "file" / "outbox.db")
