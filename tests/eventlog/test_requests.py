"""What a running app answers to the rows that ask it something."""

import os
import threading
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from projector.migration import fences
from projector.sql import query
from schemas.errors import FerryError
from schemas.requests import (
    BarrierAnswer,
    CatalogAnswer,
    SampleAnswer,
    SnapshotAnswer,
    StoreDescription,
)
from tests.eventlog.app import DEADLINE_S, account, opened, taken, types_of
from tests.eventlog.app import rows_of as outbox_rows
from tests.eventlog.writer import Writer
from tests.projector.waiting import until

MakeWriter = Callable[..., Writer]


class Asked:
    """One request of one source."""

    def __init__(
        self,
        writer: Writer,
        kind: str,
        question: msgspec.Struct | None = None,
        *,
        source: str = "",
        told: bool = True,
    ) -> None:
        self.id = uuid.uuid4()
        self._database = writer.database
        values = {
            "id": self.id,
            "projection": writer.projection,
            "source": source or writer.source,
            "kind": kind,
        }
        with self._database.transaction():
            self._database.execute(query("request_add"), values)
            if question is not None:
                text = msgspec.json.encode(question).decode()
                given = {"id": self.id, "question": text}
                self._database.execute(query("request_question"), given)
        if told:
            self._database.execute(query("request_notify"), (writer.projection,))

    def row(self) -> tuple[str, str, Any]:
        """Return state, detail and answer."""
        found = self._database.execute(
            "SELECT state, detail, answer FROM memferry.request WHERE id = %s", (self.id,)
        ).fetchone()
        assert found is not None
        state, detail, answer = found
        return state, detail, answer

    def ended(self) -> tuple[str, str, Any]:
        until(lambda: self.row()[0] in {"answered", "failed"}, "an answer")
        return self.row()


def answer_of(asked: Asked, form: type[Any]) -> Any:
    state, detail, answer = asked.ended()
    assert (state, detail) == ("answered", "")
    return msgspec.convert(answer, form, strict=False)


def test_the_catalog_counts_what_memory_holds_and_what_the_log_does_not(writer: Writer) -> None:
    writer.accounts.update({name: account(name) for name in "abc"})
    writer.ferry.record_all([opened("d"), *(taken("m", number) for number in range(5))])

    found = answer_of(Asked(writer, "catalog"), CatalogAnswer)

    memory = [store.memory_bytes for store in found.stores]
    assert found == CatalogAnswer(
        "app-1",
        os.getpid(),
        [
            StoreDescription("account", "Account", "dict", 4, 4, 0, False, "account", memory[0]),
            StoreDescription(
                "reading", "Reading", "defaultdict of deque", 1, 3, 0, True, "reading", memory[1]
            ),
        ],
        [],
    )


def test_a_barrier_is_answered_with_its_durable_numbers(writer: Writer) -> None:
    writer.ferry.record_all([opened(str(number)) for number in range(9)])

    asked = Asked(writer, "barrier")

    heads = answer_of(asked, BarrierAnswer).heads
    barriers = {
        row.partition: row.seq
        for row in outbox_rows(writer.settings.outbox_path)
        if "barrier" in types_of([row])[0]
    }
    assert heads == barriers
    assert sorted(heads) == [0, 1, 2]


def test_a_snapshot_says_how_far_it_is_until_it_is_done(writer: Writer) -> None:
    asked, held = None, writer.ferry.memory_lock
    with held:  # the snapshot waits for it
        asked = Asked(writer, "snapshot")
        until(lambda: asked.row()[0] == "working", "progress")
        working = msgspec.convert(asked.row()[2], SnapshotAnswer)

    found = answer_of(asked, SnapshotAnswer)

    assert not working.done
    assert found == SnapshotAnswer(0, 0, True)
    assert types_of(outbox_rows(writer.settings.outbox_path)) == [
        "memferry.source.snapshot_completed.v1"
    ]


def test_a_snapshot_that_stopped_says_why(make_writer: MakeWriter) -> None:
    writer = make_writer()
    ferry = writer.ferry
    ferry.retire(DEADLINE_S)

    found = answer_of(Asked(writer.start(), "snapshot"), SnapshotAnswer)

    assert found.done
    assert "source 'app-1' is retired" in found.error


def test_a_snapshot_is_asked_for_twice_and_made_once(writer: Writer) -> None:
    first = answer_of(Asked(writer, "snapshot"), SnapshotAnswer)

    second = answer_of(Asked(writer, "snapshot"), SnapshotAnswer)

    assert first == second == SnapshotAnswer(0, 0, True)
    assert len(outbox_rows(writer.settings.outbox_path)) == 1


def test_a_sample_is_answered(writer: Writer) -> None:
    writer.sample = lambda: SampleAnswer(7, ["account a: balance"])

    assert answer_of(Asked(writer, "sample"), SampleAnswer) == writer.sample()


def test_what_cannot_be_answered_is_told_with_its_reason(writer: Writer) -> None:
    def refuse() -> SampleAnswer:
        raise FerryError("nothing is known", where="here")

    writer.sample = refuse

    assert Asked(writer, "sample").ended() == ("failed", "nothing is known", None)


def test_an_error_in_an_apps_own_code_ends_its_request_alone(writer: Writer) -> None:
    def stumble() -> SampleAnswer:
        raise LookupError("a key of mine")

    writer.sample = stumble

    assert Asked(writer, "sample").ended() == ("failed", "LookupError('a key of mine')", None)
    assert Asked(writer, "barrier").ended()[0] == "answered"


def test_an_unknown_request_is_refused_by_its_name(writer: Writer) -> None:
    state, detail, _ = Asked(writer, "weather").ended()

    assert state == "failed"
    assert detail == "this app's memferry knows no request 'weather'"


def test_a_request_of_another_source_is_left_alone(writer: Writer) -> None:
    foreign = Asked(writer, "barrier", source="app-2")

    Asked(writer, "barrier").ended()

    assert foreign.row() == ("asked", "", None)


def test_what_was_asked_before_the_app_came_is_answered_in_its_order(
    make_writer: MakeWriter,
) -> None:
    writer = make_writer()
    first = Asked(writer, "barrier", told=False)
    second = Asked(writer, "barrier", told=False)

    writer.start()

    one, other = (answer_of(asked, BarrierAnswer).heads for asked in (first, second))
    assert other == {partition: seq + 1 for partition, seq in one.items()}


def test_what_was_asked_while_the_connection_was_away_is_answered(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    until(lambda: writer.backends("requests"), "the desk's connection")
    with writer.ferry.memory_lock:  # the desk is busy with an answer, and its connection goes
        busy = Asked(writer, "barrier")
        writer.cut("requests")
        meanwhile = Asked(writer, "barrier", told=False)

    for asked in (busy, meanwhile):
        assert asked.ended()[0] == "answered"


def test_a_snapshot_under_way_is_answered_over_the_next_connection(writer: Writer) -> None:
    with writer.ferry.memory_lock:
        asked = Asked(writer, "snapshot")
        until(lambda: asked.row()[0] == "working", "progress")

        before = set(writer.backends("requests"))
        assert before
        writer.cut("requests")
        # The next one may be there before anybody looks.
        until(lambda: before.isdisjoint(writer.backends("requests")), "the connection's end")

    assert answer_of(asked, SnapshotAnswer).done


def test_a_long_answer_does_not_keep_a_fence_waiting(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    entered, release = threading.Event(), threading.Event()

    def slow() -> SampleAnswer:
        entered.set()
        assert release.wait(DEADLINE_S)
        return SampleAnswer(0, [])

    writer.sample = slow
    asked = Asked(writer, "sample")
    assert entered.wait(DEADLINE_S)

    fence = fences.ask(database, writer.settings, writer.projection, "switch_back")

    writer.wait_until_said(fence.id, "caught_up")
    assert asked.row()[0] == "asked"
    release.set()
    assert asked.ended()[0] == "answered"
