"""A rollback's fence, against the rows that PostgreSQL keeps of it."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from projector.migration import fences
from projector.migration.fences import Fence
from projector.sources import SourceSilent, asking
from schemas.control import BarrierPlaced, RolledBack, TailVoided
from schemas.requests import RollbackQuestion, RollbackReady
from schemas.settings import Settings
from tests.eventlog.app import (
    DEADLINE_S,
    BusyDisk,
    account,
    by_number,
    deposited,
    opened,
    refuse_commits,
    rows_of,
    taken,
)
from tests.eventlog.deciding import LONG_MS, SHORT_MS, decide, record, state, tell
from tests.eventlog.rolling import ask, controls, here
from tests.eventlog.writer import Writer
from tests.projector.waiting import until

AskBack = Callable[..., Fence]


@pytest.fixture
def fence_for(settings: Settings, database: psycopg.Connection[Any]) -> AskBack:
    """Ask for the fence of a void."""

    def ask_back(void: str, lease_ms: int = LONG_MS) -> Fence:
        lease = msgspec.structs.replace(settings.migration, max_downtime_ms=lease_ms)
        given = msgspec.structs.replace(settings, migration=lease)
        return fences.ask(database, given, settings.projection, "rollback", void)

    return ask_back


def prepare(writer: Writer, question: RollbackQuestion) -> RollbackReady:
    with asking(writer.database, writer.projection, [writer.source], "rollback", question) as asked:
        answer = asked.answers(DEADLINE_S)[writer.source]
    return msgspec.convert(answer, RollbackReady)


def begin(writer: Writer) -> RollbackQuestion:
    """Something was recorded that is to be void; return the question, prepared."""
    writer.ferry.record_all([opened("a"), taken("m", 1)])
    question = ask(writer.ferry, here(writer.ferry))
    writer.ferry.record_all([deposited("a", 5, 5), opened("b"), taken("m", 2)])
    assert prepare(writer, question) == RollbackReady(3, 2)
    return question


def test_an_app_goes_back_once_its_fence_is_decided(
    writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)

    fence = fence_for(question.void)

    caught_up = writer.wait_until_said(fence.id, "caught_up")  # no projector runs
    mutation = record(writer, "b")
    assert mutation.still_waits()
    assert writer.accounts.keys() == {"a", "b"}
    assert decide(database, fence, "app-1")
    tell(database, fence)
    assert writer.wait_until_said(fence.id, "opened").pause_ms
    mutation.end()
    assert writer.accounts == {"a": account("a"), "b": account("b")}
    assert by_number(writer.rings).keys() == {("m", 1)}
    writer.ferry.flush(DEADLINE_S)
    found = controls(rows_of(writer.settings.outbox_path))
    kinds = [type(event) for *_, event in found]
    assert kinds == [BarrierPlaced] * 3 + [TailVoided] + [RolledBack] * 3
    marks = {p: seq for p, seq, event in found if isinstance(event, RolledBack)}
    assert marks == {p: seq + 1 for p, seq in caught_up.heads.items()}


def test_what_was_not_prepared_is_refused_and_nobody_waits(
    writer: Writer, fence_for: AskBack
) -> None:
    begin(writer)

    fence = fence_for("another")

    answer = writer.wait_until_said(fence.id, "refused")
    assert answer.detail == "nothing is prepared for void another"
    record(writer, "c").end()


def test_a_reversal_goes_the_same_way_but_not_over_newer_events(
    writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)
    carry_out(writer, database, fence_for(question.void))
    back = RollbackQuestion(question.void, restore=True, reason="why", actor="ann")
    assert prepare(writer, back) == RollbackReady(3, 4)
    writer.ferry.record(deposited("a", 1, 1))

    refused = writer.wait_until_said(fence_for(question.void).id, "refused")

    assert refused.detail == "1 streams stand in the way: account/a"
    fences.settle(database, writer.settings, writer.projection, "refused")
    again = ask(writer.ferry, here(writer.ferry), void="v-2")
    assert prepare(writer, again) == RollbackReady(0, 0)
    writer.ferry.record(opened("c"))
    carry_out(writer, database, fence_for("v-2"))
    assert prepare(writer, RollbackQuestion("v-2", restore=True)) == RollbackReady(1, 1)
    carry_out(writer, database, fence_for("v-2"))
    assert writer.accounts == {"a": account("a", 1), "c": account("c")}


def carry_out(writer: Writer, database: psycopg.Connection[Any], fence: Fence) -> None:
    writer.wait_until_said(fence.id, "caught_up")
    assert decide(database, fence, "app-1")
    tell(database, fence)
    writer.wait_until_said(fence.id, "opened")


@pytest.mark.parametrize("end", ["aborted", "lapsed"])
def test_a_fence_that_ends_otherwise_leaves_the_tail(
    end: str, writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)
    fence = fence_for(question.void, SHORT_MS if end == "lapsed" else LONG_MS)
    if end == "aborted":
        writer.wait_until_said(fence.id, "caught_up")
        assert fences.abort(database, fence.id, "why not")
        tell(database, fence)

    writer.wait_until_said(fence.id, "opened")

    record(writer, "c").end()
    assert writer.accounts["a"].balance == Decimal(5)
    assert state(database, fence)[0] == "aborted"
    again = fence_for(question.void)
    carry_out(writer, database, again)
    assert writer.accounts == {"a": account("a")}


def test_a_decision_that_is_heard_after_the_lease_is_not_carried_out(
    writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)
    fence = fence_for(question.void, 1_000)
    writer.wait_until_said(fence.id, "caught_up")
    assert decide(database, fence, "app-1")  # and nobody is told

    writer.wait_until_said(fence.id, "opened")

    tell(database, fence)
    record(writer, "c").end()
    assert writer.accounts["a"].balance == Decimal(5)
    assert not writer.ferry.voids
    assert state(database, fence) == ("decided", "")


def test_the_gate_stays_closed_until_the_disk_has_the_marks(
    writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)
    fence = fence_for(question.void, 1_000)
    writer.wait_until_said(fence.id, "caught_up")
    with BusyDisk(writer.settings.outbox_path):
        assert decide(database, fence, "app-1")
        tell(database, fence)
        until(lambda: writer.ferry.stats()["queue_depth"] == 4, "the marks to be queued")
        mutation = record(writer, "c")
        until(lambda: _lease_over(database, fence), "the lease to be over")

        assert mutation.still_waits()

    writer.wait_until_said(fence.id, "opened")
    mutation.end()
    assert writer.accounts == {"a": account("a"), "c": account("c")}


def _lease_over(database: psycopg.Connection[Any], fence: Fence) -> bool:
    row = database.execute(
        "SELECT lease_until < clock_timestamp() - interval '50 ms' FROM memferry.fence "
        "WHERE id = %s",
        (fence.id,),
    ).fetchone()
    return bool(row and row[0])


def test_marks_that_cannot_be_committed_halt_the_app_with_its_old_memory(
    writer: Writer, fence_for: AskBack, database: psycopg.Connection[Any]
) -> None:
    question = begin(writer)
    fence = fence_for(question.void)
    writer.wait_until_said(fence.id, "caught_up")
    mutation = record(writer, "c")
    refuse_commits(writer.settings.outbox_path)

    assert decide(database, fence, "app-1")
    tell(database, fence)

    with pytest.raises(Exception, match="could not commit"):
        mutation.end()
    writer.wait_until_said(fence.id, "opened")
    assert writer.accounts["a"].balance == Decimal(5)


def test_an_answer_says_why_nothing_can_be_prepared(writer: Writer) -> None:
    writer.ferry.record(opened("a"))

    with pytest.raises(SourceSilent, match="void v-1 is not in force here"):
        prepare(writer, RollbackQuestion("v-1", restore=True))


def test_what_nobody_asks_for_is_let_go(writer: Writer) -> None:
    begin(writer)
    assert writer.ferry.rollbacks.touched is not None

    with writer.ferry.memory_lock:
        writer.ferry.rollbacks.until = 0.0

    until(lambda: writer.ferry.rollbacks.touched is None, "the desk to look after it")
