import os
import signal
from collections.abc import Callable

import msgspec
import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger, Running, variables
from tests.projector.app import accounts_in, tables
from tests.projector.waiting import until


@pytest.fixture
def fresh(ledger: Ledger, request: pytest.FixtureRequest) -> Ledger:
    """The same history, and a projection that nobody has begun."""
    name = f"{ledger.settings.projection}_{abs(hash(request.node.name)) % 10**8}"
    return ledger._replace(settings=msgspec.structs.replace(ledger.settings, projection=name))


def applied(ledger: Ledger) -> int:
    with psycopg.connect(ledger.settings.postgres.dsn) as conn:
        row = conn.execute(
            "SELECT sum(next_offset) FROM memferry.checkpoint WHERE projection = %s",
            (ledger.settings.projection,),
        ).fetchone()
        return int(row[0] or 0) if row else 0


def test_what_the_topic_holds_is_applied_and_the_command_ends(
    fresh: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("project", "--until-end", environment=fresh.environment)
    again = memferry("project", "--until-end", environment=fresh.environment)

    assert (done.code, done.out) == (0, "")
    assert "applied 21 events, skipped 0 duplicates" in done.said
    assert "applied 0 events" in again.said
    with psycopg.connect(fresh.settings.postgres.dsn) as conn:
        assert tables(conn, fresh.settings.projection) == fresh.app.expected()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_applies_until_it_is_told_to_stop(
    fresh: Ledger, start: Callable[..., Running], number: signal.Signals
) -> None:
    running = start("project", environment=fresh.environment)
    until(lambda: applied(fresh) == 21, "everything applied")

    os.kill(running.pid, number)
    done = running.done()

    assert done.code == 0
    assert "applied 21 events" in done.said


def test_killed_it_is_followed_by_the_next(
    fresh: Ledger, start: Callable[..., Running], memferry: Callable[..., Done]
) -> None:
    environment = fresh.environment | {"MEMFERRY_PROJECTOR_BATCH_EVENTS": "1"}
    running = start("project", environment=environment)
    until(lambda: applied(fresh) > 3, "some batches")

    os.kill(running.pid, signal.SIGKILL)
    running.process.join()
    done = memferry("project", "--until-end", environment=fresh.environment)

    assert done.code == 0
    with psycopg.connect(fresh.settings.postgres.dsn) as conn:
        assert tables(conn, fresh.settings.projection) == fresh.app.expected()


def test_a_stopped_partition_is_a_finding(fresh: Ledger, memferry: Callable[..., Done]) -> None:
    fresh.app.deposit(accounts_in(1, 1)[0], -100)  # the table has CHECK (balance >= 0)
    fresh.broker.publish(fresh.settings, fresh.app.rows()[-1:])

    done = memferry("project", "--until-end", environment=fresh.environment)
    shown = memferry("status", environment=fresh.environment)

    assert done.code == 1
    assert "applied 21 events" in done.said
    assert "error event 8 cannot be applied" in done.said
    assert "lane app-1/g1/p1, seq 8, partition 1, offset 7" in done.said
    assert shown.code == 1
    assert "partition 1 stopped: event 8 cannot be applied" in " ".join(shown.out.split())


def test_a_topic_that_is_not_there_is_named(fresh: Ledger, memferry: Callable[..., Done]) -> None:
    other = msgspec.structs.replace(fresh.settings, topic="nowhere")

    done = memferry("project", environment=variables(other))

    assert done.code == 2
    assert "no topic 'nowhere.control'" in done.said
