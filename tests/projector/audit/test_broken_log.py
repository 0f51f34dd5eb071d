"""A log that does not continue: a finding that names the place, and the rest is compared."""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit import attempt, known
from projector.audit.result import AuditResult
from projector.audit.run import audit as run_audit
from projector.control_topic import read_control
from projector.sources import active_sources
from schemas import envelope
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import project

A, B = accounts_in(1, 2)
(C,) = accounts_in(2, 1)


async def audit(settings: Settings, **options: Any) -> AuditResult:
    return await run_audit(settings, DOMAIN, with_memory=False, timeout_s=10, **options)


def broken(result: AuditResult) -> list[tuple[str, str]]:
    return [(f.key, f.detail) for f in result.findings if f.witness == "log"]


async def test_what_is_missing_behind_the_tables_is_said_and_the_tables_are_compared(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(A, B, C)
    broker.publish(topic, app.rows())
    sent = len(app.rows())
    await project(topic)
    app.deposit(A, 1)
    app.deposit(A, 2)
    missing = [row.event for row in app.rows()[sent:] if row.partition == 1][1:]
    broker.send(topic, 1, missing)
    database.execute(f"UPDATE {topic.projection}.accounts SET owner = 'Eve' WHERE account = '{C}'")

    result = await audit(topic)

    assert broken(result) == []  # the tables are not there yet: nobody has to read so far
    assert [(f.table, f.key) for f in result.findings] == [("accounts", C)]


async def test_what_was_altered_below_the_tables_position_is_found_by_a_full_audit(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A, B, C)
    app.deposit(A, 1)
    broker.publish(topic, app.rows())
    await project(topic)
    assert (await audit(topic)).all_equal
    mine = [row.event for row in app.rows() if row.partition == 1]
    altered = msgspec.json.decode(mine[1])
    altered["data"]["owner"] = "Eve"
    broker.drop_topic(topic)
    broker.make_topics(topic, control=False)
    broker.send(topic, 1, [mine[0], msgspec.json.encode(altered), *mine[2:]])
    broker.send(topic, 2, [row.event for row in app.rows() if row.partition == 2])

    full = await audit(topic, full=True)

    ((place, what),) = broken(full)
    assert place == "lane app-1/g1/p1, seq 3, partition 1, offset 2"
    assert "does not continue event 2" in what
    assert not full.tables_compared
    assert not full.all_equal
    assert any("cannot be read up to their position" in line for line in full.coverage)


async def test_an_event_that_is_twice_in_the_log_is_counted_placed_and_no_alarm(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A, B)
    rows = app.rows()
    broker.publish(topic, rows)
    broker.send(topic, 1, [row.event for row in rows if row.partition == 1])
    await project(topic)

    result = await audit(topic)

    assert result.all_equal
    assert result.duplicates_in_log == 2
    assert result.duplicates_at == ["partition 1, offset 2", "partition 1, offset 3"]


async def test_an_app_that_opened_a_moment_ago_is_no_stranger(
    app: App,
    broker: Broker,
    topic: Settings,
    make_app: Callable[[Settings], App],
    database: psycopg.Connection[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())
    second = make_app(
        msgspec.structs.replace(
            topic, source="app-2", outbox=msgspec.structs.replace(topic.outbox, path="second.db")
        )
    )
    second.open(B)
    broker.publish(topic, second.rows())
    await project(topic)
    first: list[set[str]] = []

    async def late(*values: Any, **options: Any) -> set[str]:
        found = await read_control(*values, **options)
        first.append(found)
        return found - {"app-2"} if len(first) == 1 else found

    for module in (known, attempt):
        monkeypatch.setattr(module, "read_control", late)

    result = await audit(topic)

    assert active_sources(database, topic.topic) == ["app-1", "app-2"]
    assert len(first) == 2
    assert result.all_equal


async def test_a_value_altered_with_its_chain_made_good_again_does_not_fold(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    app.deposit(A, 1)
    first, second = (row.event for row in app.rows() if row.partition == 1)
    forged = msgspec.json.decode(second) | {
        "data": {"account": A, "amount": "1", "balance": "77"},
        "chain": envelope.digest(first),
    }
    broker.publish(topic, [row for row in app.rows() if row.partition != 1])
    broker.send(topic, 1, [first, msgspec.json.encode(forged)])
    await project(topic)

    result = await audit(topic)

    ((place, what),) = broken(result)
    assert place == "lane app-1/g1/p1, seq 2, partition 1, offset 1"
    assert what.startswith("the log does not fold: AmountDeposited does not follow")
    assert {(f.table, f.key, f.problem) for f in result.findings if f.witness == "tables"} == {
        ("accounts", A, "differs")
    }
