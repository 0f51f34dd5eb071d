import os
import socket
from contextlib import closing, suppress
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.alone import AuditJobRuns, JobTurn
from schemas.settings import Settings
from tests.projector.waiting import until


@pytest.fixture
def turn(settings: Settings) -> Any:
    turn = JobTurn(settings, settings.projection)
    yield turn
    turn.release()


def cut(database: psycopg.Connection[Any], conn: psycopg.Connection[Any]) -> None:
    database.execute("SELECT pg_terminate_backend(%s, 5000)", (conn.info.backend_pid,))


def test_a_second_job_is_told_who_runs_and_may_come_once_that_one_ends(
    turn: JobTurn, settings: Settings
) -> None:
    second = JobTurn(settings, settings.projection)
    turn.hold()

    with pytest.raises(AuditJobRuns) as refused:
        second.hold()
    turn.release()

    def held() -> bool:
        with suppress(AuditJobRuns), closing(second.hold()):
            return True
        return False

    until(held, "PostgreSQL has noticed that the first one's connection ended")
    assert f"process {os.getpid()} on {socket.gethostname()}"[:40] in refused.value.what
    assert f"projection '{settings.projection}' runs already" in refused.value.what
    assert "since 20" in refused.value.what


def test_each_projection_has_a_job_of_its_own(turn: JobTurn, settings: Settings) -> None:
    turn.hold()
    other = JobTurn(msgspec.structs.replace(settings), "another")

    with closing(other.hold()):
        pass


def test_a_connection_that_was_lost_is_made_again(
    turn: JobTurn, database: psycopg.Connection[Any]
) -> None:
    first = turn.hold()
    same = turn.hold()
    cut(database, first)

    again = turn.hold()

    assert same is first
    assert again is not first
    assert not again.closed


def test_who_lost_its_turn_to_another_one_is_told(
    turn: JobTurn, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    cut(database, turn.hold())
    with closing(JobTurn(settings, settings.projection).hold()), pytest.raises(AuditJobRuns):
        turn.hold()
