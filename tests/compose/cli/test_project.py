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


def test_a_parked_event_is_a_finding(fresh: Ledger, memferry: Callable[..., Done]) -> None:
    fresh.app.deposit(accounts_in(1, 1)[0], -100)  # the table has CHECK (balance >= 0)
    fresh.broker.publish(fresh.settings, fresh.app.rows()[-1:])

    done = memferry("project", "--until-end", environment=fresh.environment)

    assert done.code == 1
    assert "applied 21 events" in done.said
    assert "parked 1" in done.said


def test_a_stopped_partition_is_a_finding_and_a_mend_lets_it_go_on(
    fresh: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = fresh.environment
    fresh.broker.send(fresh.settings, 1, [b"garbage"])

    done = memferry("project", "--until-end", environment=environment)
    shown = memferry("status", environment=environment)
    proposed = memferry("mend", environment=environment)
    unnamed = memferry("mend", "--reason", "a test", environment=environment)
    decided = memferry("mend", "1", "--reason", "a test", environment=environment)
    again = memferry("project", "--until-end", environment=environment)

    assert (done.code, shown.code, proposed.code) == (1, 1, 1)
    assert "error a record is not a CloudEvents" in done.said
    assert "partition 1 stopped: a record is not" in " ".join(shown.out.split())
    assert "would: ignore offsets" in proposed.out
    assert "to decide it: memferry mend 1 --reason TEXT" in proposed.out
    assert unnamed.code == 2
    assert "a decision is about one partition" in unnamed.said
    assert decided.code == 0
    assert "decided: ignore offsets" in decided.out
    assert again.code == 0
    assert memferry("mend", environment=environment).out.strip() == "no partition stands still"


def test_changed_code_is_refused_unless_somebody_answers_for_it(
    fresh: Ledger, memferry: Callable[..., Done]
) -> None:
    environment, name = fresh.environment, fresh.settings.projection
    memferry("project", "--until-end", environment=environment)
    with psycopg.connect(fresh.settings.postgres.dsn) as conn:
        conn.execute(
            "UPDATE memferry.fingerprint SET parts = jsonb_set(parts, '{handlers}', '\"old\"') "
            "WHERE projection = %s AND kind = 'account'",
            (name,),
        )

    refused = memferry("project", "--until-end", environment=environment)
    shown = memferry("status", environment=environment)
    accepted = memferry("project", "--until-end", "--accept-code", environment=environment)

    assert refused.code == 2
    assert "made with other code (account: handlers)" in refused.said
    assert "changed: kind account: handlers" in shown.out
    assert shown.code == 1
    assert accepted.code == 0
    assert "the code of now is taken" in accepted.said
    assert "changed" not in memferry("status", environment=environment).out


def test_a_topic_that_is_not_there_is_named(fresh: Ledger, memferry: Callable[..., Done]) -> None:
    other = msgspec.structs.replace(fresh.settings, topic="nowhere")

    done = memferry("project", environment=variables(other))

    assert done.code == 2
    assert "no topic 'nowhere.control'" in done.said
