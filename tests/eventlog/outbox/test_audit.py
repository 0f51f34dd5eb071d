"""A running app's outbox after somebody touched it: the app knows what it wrote."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import psycopg
import pytest

from eventlog.outbox.audit import OwnOutbox
from eventlog.outbox.contract import OutboxIdentity, Safe, Written
from eventlog.outbox.opening import open_outbox
from schemas import envelope
from schemas.requests import OutboxAnswer
from schemas.settings import Settings
from tests.eventlog.outbox.appender import Item
from tests.eventlog.transactions.desk import in_postgres

LANES = 2
EVENTS = 20


class Touched:
    """An outbox that is open for writing, and somebody else's hand in it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        identity = OutboxIdentity(settings.source, settings.topic, 1, LANES)
        self.outbox: Any = open_outbox(settings, identity)
        self.append(EVENTS)

    def append(self, count: int) -> None:
        self.outbox.append([Item(n % LANES, f"account/{n}", "x" * 20) for n in range(count)])

    def check(self, written: Callable[[], Written] | None = None) -> OutboxAnswer:
        return OwnOutbox(self.settings, written or self.written).check(whole=True)

    def written(self) -> Written:
        return Written(self.outbox.heads(), self.outbox.firsts())

    def run(self, statement: str, *values: Any) -> None:
        """Run a statement on the outbox's tables, which are called event and lane."""
        if self.settings.outbox.kind == "sqlite":
            db = apsw.Connection(str(self.settings.outbox_path))
            db.execute(statement.replace("NUMBER", "row"), values)
            db.close()
            return
        with psycopg.connect(self.settings.postgres.dsn, autocommit=True) as conn:
            conn.execute(f"SET search_path = {self.settings.outbox.schema}")
            conn.execute(statement.replace("?", "%s").replace("NUMBER", "number"), values)

    def event(self, partition: int, seq: int) -> bytes:
        rows = self.outbox.rows(0, 1_000)
        (found,) = [r.event for r in rows if (r.partition, r.seq) == (partition, seq)]
        return bytes(found)


@pytest.fixture(params=["sqlite", "postgres"])
def touched(
    request: pytest.FixtureRequest, tmp_path: Path, make_settings: Callable[..., Settings]
) -> Iterator[Touched]:
    given = make_settings(directory=str(tmp_path))
    given = in_postgres(given) if request.param == "postgres" else given
    found = Touched(msgspec.structs.replace(given, source="app-1"))
    yield found
    found.outbox.close()


def flip(outbox: Touched, seq: int) -> None:
    event = outbox.event(1, seq).replace(b"xxx", b"xyx", 1)
    outbox.run("UPDATE event SET event = ? WHERE partition = 1 AND seq = ?", event, seq)


def flip_newest_and_its_head(outbox: Touched) -> None:
    flip(outbox, 10)
    digest = envelope.digest(outbox.event(1, 10))
    outbox.run("UPDATE lane SET digest = ? WHERE partition = 1", digest)


def delete(outbox: Touched, seq: int) -> None:
    outbox.run("DELETE FROM event WHERE partition = 1 AND seq = ?", seq)


def delete_newest_and_its_head(outbox: Touched) -> None:
    delete(outbox, 10)
    digest = envelope.digest(outbox.event(1, 9))
    outbox.run("UPDATE lane SET seq = 9, digest = ? WHERE partition = 1", digest)


def swap(outbox: Touched) -> None:
    one, other = outbox.event(1, 4), outbox.event(1, 5)
    outbox.run("UPDATE event SET event = ? WHERE partition = 1 AND seq = 4", other)
    outbox.run("UPDATE event SET event = ? WHERE partition = 1 AND seq = 5", one)


def insert(outbox: Touched) -> None:
    outbox.run(
        "INSERT INTO event SELECT NUMBER + 1000, partition, seq + 10, stream, event FROM event "
        "WHERE partition = 1 AND seq = 10"
    )


TAMPERED: dict[str, tuple[Callable[[Touched], None], str]] = {
    "flip": (lambda o: flip(o, 4), "row 10, partition 1, seq 5: "),
    "flip the newest": (lambda o: flip(o, 10), "partition 1 ends at "),
    "flip the newest and its head": (
        flip_newest_and_its_head, "partition 1, seq 10: the event is not the one the app wrote"),
    "delete": (lambda o: delete(o, 4), "row 10, partition 1, seq 5: "),
    "delete the first": (lambda o: delete(o, 1), "partition 1 begins with seq 2, not with 1"),
    "delete the newest": (lambda o: delete(o, 10), "partition 1 ends at "),
    "delete the newest and its head": (
        delete_newest_and_its_head, "partition 1 ends at seq 9; the app wrote up to seq 10"),
    "swap": (swap, "row 8, partition 1, seq 4: "),
    "insert": (insert, "row 1020, partition 1, seq 20: "),
    "truncate": (
        lambda o: o.run("DELETE FROM event"), "partition 0 is empty; the app wrote to seq 10"),
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERED)
def test_what_was_touched_is_found_and_named(touched: Touched, tampering: str) -> None:
    touch, said = TAMPERED[tampering]
    touch(touched)

    findings = touched.check().findings

    assert any(finding.startswith(said) for finding in findings), findings


def test_an_outbox_that_nobody_touched_is_whole_however_it_goes_on(touched: Touched) -> None:
    before = touched.written()
    touched.append(6)
    known = [before, touched.written()]

    answer = touched.check(lambda: known.pop(0))

    assert answer.findings == []
    assert (answer.events, answer.first) == (EVENTS + 6, {0: 1, 1: 1})
    assert {p: seq for p, (seq, _) in answer.heads.items()} == {0: 13, 1: 13}


def test_what_is_pruned_is_no_finding(touched: Touched) -> None:
    before = touched.written()
    assert touched.outbox.prune(Safe(EVENTS, {0: 7, 1: 7}), 1_000, 0.0) == 14
    known = [before, touched.written()]

    answer = touched.check(lambda: known.pop(0))

    assert answer.findings == []
    assert answer.first == {0: 8, 1: 8}
    delete(touched, 8)
    assert touched.check().findings == ["partition 1 begins with seq 9, not with 8"]


def test_an_outbox_that_was_pruned_whole_is_whole(touched: Touched) -> None:
    assert touched.outbox.prune(Safe(EVENTS, {0: 10, 1: 10}), 1_000, 0.0) == EVENTS
    assert touched.check().findings == []

    touched.append(2)

    assert touched.check().findings == []


def test_a_file_that_is_no_outbox_any_more_is_a_finding(
    tmp_path: Path, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(directory=str(tmp_path))
    settings.outbox_path.write_bytes(b"gone")

    answer = OwnOutbox(settings, lambda: Written({}, {})).check(whole=True)

    assert answer.findings == ["the outbox file is damaged: file is not a database"]


def test_what_was_found_sound_is_not_read_again_unless_all_of_it_is_asked_for(
    touched: Touched,
) -> None:
    own = OwnOutbox(touched.settings, touched.written)
    first = own.check(whole=False)
    touched.append(4)
    more = own.check(whole=False)
    none = own.check(whole=False)

    touched.run("UPDATE event SET event = ? WHERE partition = 0 AND seq = 2", b"{}")

    assert [a.events for a in (first, more, none)] == [EVENTS, 4, 0]
    assert [a.findings for a in (first, more, none)] == [[], [], []]
    assert own.check(whole=False).findings == []
    assert own.check(whole=True).findings != []


@pytest.mark.parametrize("gone", ["seq = 11", "seq = 12", "seq >= 11"])
def test_what_came_since_is_held_to_what_was_found_sound(touched: Touched, gone: str) -> None:
    own = OwnOutbox(touched.settings, touched.written)
    own.check(whole=True)
    touched.append(4)
    touched.run(f"DELETE FROM event WHERE partition = 0 AND {gone}")

    found = own.check(whole=False).findings

    assert any("partition 0" in said for said in found), found
    assert own.check(whole=False).findings == found  # until it is mended
