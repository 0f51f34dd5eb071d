"""Fences as rows: who may decide, renew or end one, and when no more. The apps' part is by hand."""

from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from projector.control_tables import Projection
from projector.migration import fences
from projector.migration.fences import FenceBroken
from projector.sql import query
from projector.trail import first_broken
from schemas.settings import Migration, Settings
from schemas.sql import statement

LONG = Migration(max_downtime_ms=60_000)


@pytest.fixture
def long(settings: Settings, projection: Projection) -> Settings:
    return msgspec.structs.replace(settings, migration=LONG)


@pytest.fixture
def conn(database: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    database.execute("LISTEN memferry_fence_answer")
    yield database
    database.execute("UNLISTEN *")


def say(conn: psycopg.Connection[Any], fence: str, source: str, state: str, why: str = "") -> None:
    values = {"fence": fence, "source": source, "state": state, "detail": why}
    barrier = {"heads": '{"0": 7}', "counting": "c-1", "sums": "{}"}
    conn.execute(statement("fence_answer"), values | barrier)


def state(conn: psycopg.Connection[Any], fence: str) -> tuple[str, str]:
    row = conn.execute(
        "SELECT state, reason FROM memferry.fence WHERE id = %s", (fence,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def decided(conn: psycopg.Connection[Any], fence: str, *sources: str) -> bool:
    values = {"fence": fence, "sources": list(sources)}
    return conn.execute(query("fence_decide"), values).fetchone() is not None


def run_out(conn: psycopg.Connection[Any], fence: str) -> None:
    """The lease is over."""
    conn.execute(
        "UPDATE memferry.fence SET lease_until = clock_timestamp() - interval '1 ms' WHERE id = %s",
        (fence,),
    )


def test_each_fence_has_a_higher_epoch_than_the_one_before(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    first = fences.ask(conn, long, long.projection, "cutover")
    fences.abort(conn, first.id, "")

    second = fences.ask(conn, long, long.projection, "switch_back")

    assert 1 < first.epoch < second.epoch


def test_two_fences_of_one_kind_cannot_be_open_at_once(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fences.ask(conn, long, long.projection, "cutover")
    fences.ask(conn, long, long.projection, "hold")  # beside it

    with pytest.raises(psycopg.errors.UniqueViolation):
        fences.ask(conn, long, long.projection, "switch_back")


def test_it_is_decided_once_and_only_when_every_source_caught_up(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    tries = [decided(conn, fence, "app-1", "app-2")]

    say(conn, fence, "app-1", "caught_up")
    tries.append(decided(conn, fence, "app-1", "app-2"))
    say(conn, fence, "app-2", "fenced")
    tries.append(decided(conn, fence, "app-1", "app-2"))
    say(conn, fence, "app-2", "caught_up")

    assert tries == [False, False, False]
    assert decided(conn, fence, "app-1", "app-2")
    assert not decided(conn, fence, "app-1", "app-2")
    assert not fences.abort(conn, fence, "late")
    assert state(conn, fence) == ("decided", "")


def test_nothing_is_decided_behind_the_end_of_the_lease(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    say(conn, fence, "app-1", "caught_up")

    run_out(conn, fence)

    assert not decided(conn, fence, "app-1")
    assert conn.execute(query("fence_renew"), (fence,)).fetchone() is None
    assert state(conn, fence) == ("asked", "")


def test_a_writer_that_gave_up_first_cannot_be_decided_over(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    say(conn, fence, "app-1", "caught_up")

    assert fences.abort(conn, fence, "the lease of source 'app-1' ended")

    assert not decided(conn, fence, "app-1")
    assert state(conn, fence) == ("aborted", "the lease of source 'app-1' ended")


def test_a_refusal_is_told_at_once(conn: psycopg.Connection[Any], long: Settings) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    say(conn, fence, "app-2", "refused", "source 'app-2' is retired")

    with pytest.raises(FenceBroken, match="'app-2' refused the fence: source 'app-2' is retired"):
        fences.wait_for(conn, fence, ["app-1", "app-2"], ("caught_up",), 60)


def test_who_is_late_is_named_with_what_it_said_last(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    say(conn, fence, "app-1", "caught_up")
    say(conn, fence, "app-2", "fenced")

    with pytest.raises(FenceBroken) as late:
        fences.wait_for(conn, fence, ["app-1", "app-2", "app-3"], ("caught_up",), 0.05)

    assert "within 50 ms" in late.value.what
    assert late.value.where == "source app-3, app-2"
    assert "app-2 fenced" in late.value.what
    assert "app-3 silent" in late.value.what


def test_answers_come_with_the_barriers_numbers_and_the_writers_own_pause(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    fence = fences.ask(conn, long, long.projection, "cutover").id
    say(conn, fence, "app-1", "caught_up")
    conn.execute(statement("fence_opened"), {"fence": fence, "source": "app-1", "pause_ms": 12.5})

    answers = fences.wait_for(conn, fence, ["app-1"], ("opened",), 5)

    assert answers == {"app-1": fences.Answer("opened", "", {0: 7}, 12.5)}


def test_what_a_dead_run_left_is_ended_and_every_abort_is_noted_once(
    conn: psycopg.Connection[Any], long: Settings
) -> None:
    given_up = fences.ask(conn, long, long.projection, "switch_back").id
    fences.abort(conn, given_up, "the lease of source 'app-1' ended")
    left = fences.ask(conn, long, long.projection, "cutover").id
    held = fences.ask(conn, long, long.projection, "hold").id

    settled = fences.settle(conn, long, long.projection, "the run ended")
    again = fences.settle(conn, long, long.projection, "the run ended")

    assert (settled, again) == (3, 0)
    assert state(conn, left) == state(conn, held) == ("aborted", "the run ended")
    noted = conn.execute(
        "SELECT after ->> 'fence', after ->> 'reason' FROM memferry.trail "
        "WHERE action = 'switch aborted' AND after ->> 'projection' = %s ORDER BY id",
        (long.projection,),
    ).fetchall()
    assert noted == [
        (given_up, "the lease of source 'app-1' ended"),
        (left, "the run ended"),
        (held, "the run ended"),
    ]
    assert first_broken(conn) is None
    decisions = conn.execute(
        "SELECT count(*) FROM memferry.decision WHERE topic = %s", (f"{long.topic}.control",)
    ).fetchone()
    assert decisions == (3,)
