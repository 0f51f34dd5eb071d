"""An app follows the route row: when it is told, when it comes back, when it starts."""

import logging
from typing import Any

import msgspec
import psycopg
import pytest

from projector.control_tables import establish
from projector.sql import query
from schemas.settings import Postgres, Settings
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import DEADLINE_S, opened
from tests.eventlog.attached import Attached
from tests.eventlog.writer import Writer
from tests.projector.waiting import until


def switch(settings: Settings, database: psycopg.Connection[Any], route: str, to: int) -> None:
    """Let reads go another way, as it is decided once Kafka has it."""
    database.execute(
        query("route_switch"),
        {"projection": settings.projection, "route": route, "epoch": to, "decision": to,
         "at": "2026-01-02T03:04:05Z", "actor": "ann"},
    )  # fmt: skip


def followed(settings: Settings, database: psycopg.Connection[Any]) -> int:
    row = database.execute(
        "SELECT decision FROM memferry.route_source WHERE projection = %s AND source = %s",
        (settings.projection, settings.source),
    ).fetchone()
    return row[0] if row else 0


def wait_until_followed(
    settings: Settings, database: psycopg.Connection[Any], decision: int
) -> None:
    until(lambda: followed(settings, database) == decision, "the app to follow")


def test_an_app_follows_the_route_and_says_so(
    writer: Writer, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    assert writer.route.now.route == "memory"
    assert followed(settings, database) == 0

    for decision, route in enumerate(("shadow", "postgres", "memory"), 3):
        switch(settings, database, route, decision)

        wait_until_followed(settings, database, decision)
        assert writer.route.now.route == route


def test_an_app_follows_what_was_decided_while_it_had_no_connection(
    writer: Writer, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    switch(settings, database, "shadow", 3)
    wait_until_followed(settings, database, 3)
    with database.transaction():  # what is told before its connection ends comes to nothing
        writer.cut()
        switch(settings, database, "postgres", 4)

    wait_until_followed(settings, database, 4)

    assert writer.route.now.route == "postgres"


def test_an_older_decision_does_not_replace_a_newer(
    writer: Writer, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    switch(settings, database, "postgres", 5)
    wait_until_followed(settings, database, 5)
    database.execute(
        "UPDATE memferry.route SET route = 'memory', decision = 4 WHERE projection = %s",
        (settings.projection,),
    )  # as in a copy of the database that was brought back

    writer.cut()
    for name in ("a", "b"):  # the first is seen as the new connection begins, the second after
        receipt = writer.ferry.record(opened(name))
        receipt.durable(DEADLINE_S)
        writer.apply()
        receipt.applied(DEADLINE_S)

    assert writer.route.now.route == "postgres"
    assert followed(settings, database) == 5


def test_an_app_of_another_projection_stays_where_it_is(
    writer: Writer, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    other = msgspec.structs.replace(settings, projection="another")
    switch(other, database, "postgres", 9)

    switch(settings, database, "shadow", 3)

    wait_until_followed(settings, database, 3)
    assert writer.route.now.route == "shadow"
    assert followed(other, database) == 0


def test_a_restarted_app_begins_where_reads_are(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    establish(database, settings, DOMAIN, 3)
    attached.ferry.record(opened("a")).durable(DEADLINE_S)
    attached.ferry.close(DEADLINE_S)
    switch(settings, database, "postgres", 2)

    again = Attached(settings)

    assert again.ferry.reads.route.now.route == "postgres"
    assert followed(settings, database) == 2
    again.ferry.close(DEADLINE_S)


def test_a_restarted_app_begins_in_memory_where_the_database_is_away(
    attached: Attached,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eventlog.shim._ROUTE_WAIT_S", 0.1)
    attached.ferry.record(opened("a")).durable(DEADLINE_S)
    attached.ferry.close(DEADLINE_S)
    away = Postgres(dsn="host=127.0.0.1 port=1 user=x", connect_timeout_s=2)

    with caplog.at_level(logging.WARNING, logger="memferry.shim"):
        again = Attached(msgspec.structs.replace(settings, postgres=away))

    assert again.ferry.reads.route.now.route == "memory"
    assert [m for m in caplog.messages if "reads begin in memory" in m]
    assert list(again.accounts) == ["a"]
    again.ferry.close(DEADLINE_S)
