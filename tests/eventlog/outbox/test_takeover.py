"""An outbox taken from its process: dead, stopped, or alive; the old one acknowledges nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from eventlog.outbox.contract import OutboxAdopted, OutboxInUse, OutboxInvalid
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.takeover import take_over
from eventlog.receipts import OutcomeUnknown
from tests.eventlog.app import DEADLINE_S, IDENTITY, App, opened, require_whole_lanes, rows_of
from tests.eventlog.outbox.appender import Item

MakeApp = Callable[..., App]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.db"


class Child:
    """A process with an app that records."""

    def __init__(self, path: Path, limit: int) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.eventlog.steady_child", str(path), str(limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.said: list[str] = []

    def read_until(self, start: str) -> str:
        assert self.process.stdout is not None
        while not self.said or not self.said[-1].startswith(start):
            line = self.process.stdout.readline()
            assert line, f"the child ended: {self.said[-3:]}"
            self.said.append(line.strip())
        return self.said[-1]

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)

    def wake(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)

    def rest(self) -> list[str]:
        assert self.process.stdout is not None
        self.said += [line.strip() for line in self.process.stdout.read().splitlines()]
        assert self.process.wait(DEADLINE_S) == 0
        return self.said

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def child(path: Path) -> Iterator[Callable[[int], Child]]:
    children: list[Child] = []

    def make(limit: int) -> Child:
        children.append(Child(path, limit))
        return children[-1]

    yield make
    for made in children:
        made.end()


def test_a_stopped_process_from_which_the_outbox_was_taken_wakes_and_acknowledges_nothing(
    path: Path, child: Callable[[int], Child], make_app: MakeApp
) -> None:
    old = child(1)
    old.read_until("waits")
    old.stop()
    with pytest.raises(OutboxInUse) as caught:
        take_over(path)
    assert "memferry adopt --stopped" in caught.value.remedy

    taken = take_over(path, stopped=True)

    assert (taken.identity, taken.writer) == (IDENTITY, 2)
    app = make_app(path)
    app.ferry.record(opened("new")).durable(DEADLINE_S)
    old.go_on()
    old.wake()
    last = old.rest()[-1]
    assert last.startswith(("halted", "refused"))
    assert "another process has adopted this outbox" in last
    assert [row.stream for row in rows_of(path)] == ["account/child-0", "account/new"]
    app.ferry.record(opened("newer")).durable(DEADLINE_S)
    require_whole_lanes(rows_of(path))


@pytest.mark.parametrize("groups", [3, 40])
def test_a_process_stopped_while_it_writes_has_what_it_acknowledged_and_no_more(
    groups: int, path: Path, child: Callable[[int], Child], make_app: MakeApp
) -> None:
    old = child(1_000_000)
    for _ in range(groups):
        old.said.clear()
        old.read_until("durable")
    old.stop()
    while True:
        try:
            take_over(path, stopped=True)
            break
        except OutboxInUse:  # it holds the file in the middle of a commit
            old.wake()
            old.stop()
    app = make_app(path)
    for number in range(20):
        app.ferry.record(opened(f"new-{number}")).durable(DEADLINE_S)

    old.wake()

    said = old.rest()
    assert said[-1].startswith("halted the outbox could not commit: another process has adopted")
    acknowledged = [f"account/{line.split()[1]}" for line in said if line.startswith("durable")]
    streams = [row.stream for row in rows_of(path)]
    assert set(acknowledged) <= set(streams)
    assert streams[-20:] == [f"account/new-{number}" for number in range(20)]
    require_whole_lanes(rows_of(path))


def test_a_dead_process_leaves_its_outbox_to_whoever_adopts_it(
    path: Path, child: Callable[[int], Child], make_app: MakeApp
) -> None:
    old = child(5)
    old.read_until("waits")
    old.end()

    assert take_over(path).writer == 2
    assert take_over(path).writer == 3

    app = make_app(path)
    assert len(app.accounts) == 5


def test_a_process_that_lives_keeps_its_outbox(path: Path) -> None:
    outbox = SqliteOutbox(path, IDENTITY)

    with pytest.raises(OutboxInUse, match=f"process {os.getpid()} has the outbox open"):
        take_over(path)

    outbox.append([Item(0, "account/a", "a")])
    outbox.close()


def test_a_writer_that_lost_its_outbox_is_refused_by_name_and_its_events_are_not_there(
    path: Path,
) -> None:
    outbox = SqliteOutbox(path, IDENTITY)
    outbox.append([Item(0, "account/a", "a")])
    take_over(path, stopped=True)

    with pytest.raises(OutboxAdopted) as caught:
        outbox.append([Item(0, "account/b", "b"), Item(1, "account/c", "c")])

    assert caught.value.where == str(path)
    assert "end this process" in caught.value.remedy
    assert [row.stream for row in rows_of(path)] == ["account/a"]
    outbox.close()


def test_an_app_that_is_quiet_learns_of_it_by_itself(path: Path, make_app: MakeApp) -> None:
    app = make_app(path)
    app.ferry.record(opened("a")).durable(DEADLINE_S)

    take_over(path, stopped=True)

    with pytest.raises(OutcomeUnknown, match="another process has adopted"):
        app.ferry.durable.wait(1_000, DEADLINE_S)
    with pytest.raises(OutcomeUnknown):
        app.ferry.record(opened("b"))
    assert "b" not in app.accounts


def test_the_new_owner_has_a_lock_of_its_own(path: Path) -> None:
    old = SqliteOutbox(path, IDENTITY)
    take_over(path, stopped=True)
    new = SqliteOutbox(path, IDENTITY)

    with pytest.raises(OutboxInUse):
        SqliteOutbox(path, IDENTITY)
    old.close()
    with pytest.raises(OutboxInUse):
        SqliteOutbox(path, IDENTITY)

    new.append([Item(0, "account/a", "a")])
    new.close()


def test_a_file_that_is_held_in_a_commit_is_not_taken(path: Path) -> None:
    SqliteOutbox(path, IDENTITY).close()
    db = apsw.Connection(str(path))
    db.execute("BEGIN IMMEDIATE")

    with pytest.raises(OutboxInUse, match="in the middle of a commit") as caught:
        take_over(path)

    assert "kill -9" in caught.value.remedy
    db.close()


def test_what_is_no_outbox_is_not_taken(path: Path) -> None:
    with pytest.raises(OutboxInvalid, match="there is no outbox file"):
        take_over(path)
