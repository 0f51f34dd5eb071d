"""Asking running apps, with a database for the apps' part where it matters what they say."""

import threading
from collections.abc import Callable, Mapping
from typing import Any

import psycopg
import pytest

from projector.control_tables import Projection
from projector.sources import SourceSilent, active_sources, asking
from projector.sql import query
from schemas.settings import Settings
from schemas.sql import statement


def waiting(conn: psycopg.Connection[Any], name: str, source: str) -> list[tuple[Any, str]]:
    return conn.execute(statement("requests_of_source"), (name, source)).fetchall()


def requests(conn: psycopg.Connection[Any], name: str) -> int:
    row = conn.execute(
        "SELECT count(*) FROM memferry.request WHERE projection = %s", (name,)
    ).fetchone()
    return int(row[0]) if row else 0


@pytest.fixture
def other(settings: Settings) -> Any:
    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        yield conn


def answer(conn: psycopg.Connection[Any], request: Any, text: str, state: str = "answered") -> None:
    conn.execute(statement("request_answered"), {"id": request, "answer": text, "state": state})


def test_each_source_is_asked_once_and_its_answer_returned(
    database: psycopg.Connection[Any], other: psycopg.Connection[Any], projection: Projection
) -> None:
    with asking(database, projection.name, ["app-1", "app-2"], "catalog") as asked:
        found = {s: waiting(other, projection.name, s) for s in ("app-1", "app-2")}
        for source, ((request, _),) in found.items():
            answer(other, request, f'{{"said": "{source}"}}')

        said = asked.answers(5)

    assert [[kind for _, kind in rows] for rows in found.values()] == [["catalog"], ["catalog"]]
    assert said == {"app-1": {"said": "app-1"}, "app-2": {"said": "app-2"}}
    assert requests(database, projection.name) == 0


def test_progress_is_told_and_counts_as_a_sign_of_life(
    database: psycopg.Connection[Any], other: psycopg.Connection[Any], projection: Projection
) -> None:
    told: list[Mapping[str, Any]] = []
    with asking(database, projection.name, ["app-1"], "snapshot") as asked:
        ((request, _),) = waiting(other, projection.name, "app-1")
        answer(other, request, '{"n": 1}', "working")

        def hear(answers: Mapping[str, Any]) -> None:
            told.append(answers)
            if len(told) == 1:
                answer(other, request, '{"n": 2}')

        said = asked.answers(5, hear)

    assert said == {"app-1": {"n": 2}}
    assert told == [{"app-1": {"n": 1}}, {"app-1": {"n": 2}}]


def test_a_source_that_cannot_answer_is_named_with_its_reason(
    database: psycopg.Connection[Any], other: psycopg.Connection[Any], projection: Projection
) -> None:
    with (
        pytest.raises(SourceSilent, match="'app-1' did not answer: the disk is gone"),
        asking(database, projection.name, ["app-1"], "snapshot") as asked,
    ):
        ((request, _),) = waiting(other, projection.name, "app-1")
        other.execute(statement("request_failed"), {"id": request, "detail": "the disk is gone"})
        asked.answers(5)

    assert requests(database, projection.name) == 0


def test_one_silent_source_among_several_is_the_one_that_is_named(
    database: psycopg.Connection[Any], other: psycopg.Connection[Any], projection: Projection
) -> None:
    with (
        pytest.raises(SourceSilent) as silent,
        asking(database, projection.name, ["app-1", "app-2", "app-3"], "sample") as asked,
    ):
        for source in ("app-1", "app-3"):
            ((request, _),) = waiting(other, projection.name, source)
            answer(other, request, "{}")
        asked.answers(0.05)

    assert silent.value.where == "source app-2"
    assert requests(database, projection.name) == 0


def test_a_request_that_somebody_removed_is_no_answer(
    database: psycopg.Connection[Any], other: psycopg.Connection[Any], projection: Projection
) -> None:
    with (
        pytest.raises(SourceSilent, match="the request is gone"),
        asking(database, projection.name, ["app-1"], "sample") as asked,
    ):
        other.execute(query("request_drop"), (list(asked.requests.values()),))
        asked.answers(5)


def test_nobody_to_ask_gives_no_answers(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    with asking(database, projection.name, [], "sample") as asked:
        assert asked.answers(5) == {}


def test_a_notice_wakes_the_asking_side_at_once(
    database: psycopg.Connection[Any],
    other: psycopg.Connection[Any],
    projection: Projection,
) -> None:
    said: list[dict[str, Any]] = []
    with asking(database, projection.name, ["app-1"], "sample") as asked:
        ((request, _),) = waiting(other, projection.name, "app-1")
        thread = threading.Thread(target=lambda: said.append(asked.answers(30)))
        thread.start()
        answer(other, request, "{}")
        thread.join(20)

    assert said == [{"app-1": {}}]


def test_retired_sources_are_asked_no_more(
    database: psycopg.Connection[Any],
    projection: Projection,
    make_settings: Callable[..., Settings],
) -> None:
    foreign = make_settings().topic
    for topic, name in ((projection.topic, "b"), (projection.topic, "a"), (foreign, "c")):
        values = {"source": name, "topic": topic, "generation": 1, "partitions": 3}
        database.execute(query("source_opened"), values | {"at": "2026-01-01T00:00:00Z"})

    before = active_sources(database, projection.topic)
    retired = {"topic": projection.topic, "source": "a", "at": "2026-01-02T00:00:00Z"}
    database.execute(query("source_retired"), retired)

    assert before == ["a", "b"]
    assert active_sources(database, projection.topic) == ["b"]
