"""What a running app answers when it is asked what its entities hold."""

import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from projector.sources import SourceSilent, asking
from projector.sql import query
from schemas.extraction import Selection
from schemas.requests import StatisticsAnswer
from tests.eventlog.app import DEADLINE_S, account, opened, taken
from tests.eventlog.writer import Writer
from tests.projector.waiting import until


def ask(writer: Writer, database: psycopg.Connection[Any], selection: Selection) -> Any:
    with asking(database, writer.projection, ["app-1"], "statistics", selection) as asked:
        return asked.answers(DEADLINE_S)["app-1"]


def test_statistics_and_warnings_are_answered_for_what_was_selected(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.ferry.record_all([opened("a"), opened("b"), taken("m", 1)])
    writer.accounts["bad"] = account("bad", "NaN")

    answer = ask(writer, database, Selection(kinds=("account",), keys=("[ab]*",), sample=1))

    found = msgspec.convert(answer, StatisticsAnswer)
    (kind,) = found.kinds
    assert (found.source, kind.kind, kind.entities, kind.selected) == ("app-1", "account", 3, 3)
    assert [field.distinct for field in kind.fields if field.field == "account"] == [3]
    assert [(w.what, w.examples) for w in kind.warnings if w.what == "refused"] == [
        ("refused", ["bad"])
    ]
    assert len(kind.sample) == 1


def test_a_long_survey_says_how_far_it_is(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.accounts.update({str(number): account(str(number), number) for number in range(9_000)})
    told: list[Any] = []

    with asking(database, writer.projection, ["app-1"], "statistics", Selection()) as asked:
        answers = asked.answers(DEADLINE_S, told.append)

    assert [kind["selected"] for kind in answers["app-1"]["kinds"]] == [9_000, 0]
    assert any("looked" in (one["app-1"] or {}) for one in told)


def test_a_selection_that_cannot_be_made_is_refused_with_its_reason(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    with pytest.raises(SourceSilent, match="nothing is held of a kind 'trade'"):
        ask(writer, database, Selection(kinds=("trade",)))


def test_a_text_that_jsonb_cannot_hold_is_told_all_the_same(
    writer: Writer, database: psycopg.Connection[Any]
) -> None:
    writer.accounts["a\0b"] = account("a\0b", "NaN")

    answer = ask(writer, database, Selection(kinds=("account",)))

    (warning, *_) = answer["kinds"][0]["warnings"]
    assert (warning["what"], warning["examples"]) == ("refused", ["a\ufffdb"])


def test_an_extraction_that_was_cut_short_is_answered_again_and_whole(
    make_writer: Callable[..., Writer], database: psycopg.Connection[Any]
) -> None:
    writer = make_writer()
    writer.ferry.record_all([opened(name) for name in "abc"])
    request = uuid.uuid4()
    values = {"id": request, "projection": writer.projection, "source": "app-1"}
    database.execute(query("request_add"), values | {"kind": "extraction"})
    database.execute("UPDATE memferry.request SET state = 'working' WHERE id = %s", (request,))
    database.execute(
        "INSERT INTO memferry.memory_line VALUES (%s, 0, 'account', 'old', '')", (request,)
    )

    writer.start()
    state = "SELECT state FROM memferry.request WHERE id = %s"
    until(lambda: database.execute(state, (request,)).fetchone() == ("answered",), "an answer")

    lines = database.execute(query("memory_lines"), (request,)).fetchall()
    assert [(kind, kept, msgspec.json.decode(data)["account"]) for kind, kept, data in lines] == [
        ("account", "ledger.account.snapshotted.v1", name) for name in "abc"
    ]
