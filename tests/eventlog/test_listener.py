"""A thread that listens to PostgreSQL: what its duty is told, and that it comes back."""

import logging
import socket
from collections.abc import Callable, Collection, Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from eventlog.listener import Listener
from projector.control_tables import establish
from schemas.control_format import CONTROL_FORMAT
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import DEADLINE_S
from tests.projector.waiting import until


class Duty:
    """Writes down what it is told; `failing` is raised once, at the next notice."""

    name = "test"

    def __init__(self, channel: str) -> None:
        self.channels = (channel, f"{channel}_other")
        self.begun = 0
        self.ticks = 0
        self.heard: list[set[str]] = []
        self.failing: Exception | None = None

    def begin(self, conn: "psycopg.Connection[Any]") -> None:
        assert conn.autocommit
        self.begun += 1

    def hear(self, conn: "psycopg.Connection[Any]", channels: Collection[str]) -> None:
        self.heard.append(set(channels))
        failing, self.failing = self.failing, None
        if failing is not None:
            raise failing

    def tick(self, conn: "psycopg.Connection[Any]") -> None:
        self.ticks += 1


@pytest.fixture
def duty(settings: Settings) -> Duty:
    return Duty(f"{settings.projection}_notices")


@pytest.fixture
def listen(settings: Settings, duty: Duty) -> Iterator[Callable[..., Listener]]:
    listeners: list[Listener] = []

    def start(given: Settings = settings) -> Listener:
        listener = Listener(given, "app-1", duty)
        listeners.append(listener)
        listener.start()
        return listener

    yield start
    for listener in listeners:
        listener.close(DEADLINE_S)


def cut(database: psycopg.Connection[Any], settings: Settings) -> None:
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
        ("memferry test app-1",),
    )


def test_a_duty_begins_and_hears_of_its_own_channels(
    duty: Duty, listen: Callable[..., Listener], database: psycopg.Connection[Any]
) -> None:
    assert listen().began.wait(DEADLINE_S)

    first, second = duty.channels
    database.execute("SELECT pg_notify('elsewhere', '')")
    database.execute("SELECT pg_notify(%s, '')", (first,))
    until(lambda: duty.heard, "a notice")
    database.execute("SELECT pg_notify(%s, '')", (second,))
    until(lambda: len(duty.heard) == 2, "another notice")

    assert duty.heard == [{first}, {second}]
    assert duty.begun == 1
    until(lambda: duty.ticks, "a tick")


def test_a_duty_begins_again_on_every_connection(
    duty: Duty,
    listen: Callable[..., Listener],
    settings: Settings,
    database: psycopg.Connection[Any],
) -> None:
    assert listen().began.wait(DEADLINE_S)

    cut(database, settings)

    until(lambda: duty.begun == 2, "another beginning")
    database.execute("SELECT pg_notify(%s, '')", (duty.channels[0],))
    until(lambda: duty.heard, "a notice over the new connection")


@pytest.mark.parametrize(
    "error", [psycopg.errors.UndefinedTable("no tables yet"), psycopg.OperationalError("gone")]
)
def test_an_error_of_the_database_costs_one_connection(
    error: psycopg.Error,
    duty: Duty,
    listen: Callable[..., Listener],
    database: psycopg.Connection[Any],
) -> None:
    assert listen().began.wait(DEADLINE_S)
    duty.failing = error

    database.execute("SELECT pg_notify(%s, '')", (duty.channels[0],))

    until(lambda: duty.begun == 2, "another beginning")


def test_a_database_that_is_away_is_warned_of_once(
    duty: Duty,
    listen: Callable[..., Listener],
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("eventlog.listener._RETRY_S", 0.01)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        caplog.at_level(logging.WARNING, logger="memferry.control"),
    ):
        server.settimeout(DEADLINE_S)
        port = server.getsockname()[1]
        dsn = f"host=127.0.0.1 port={port} user=x sslmode=disable gssencmode=disable"
        away = msgspec.structs.replace(settings.postgres, dsn=dsn)
        listener = listen(msgspec.structs.replace(settings, postgres=away))
        for _ in range(3):  # the third attempt is made once the second has failed
            server.accept()[0].close()
        warnings = list(caplog.messages)
        listener.stop()

    assert len(warnings) == 1
    assert "the control connection tries again" in warnings[0]
    assert duty.begun == 0


def test_a_connection_whose_beginning_fails_is_not_replaced_at_once(
    duty: Duty, listen: Callable[..., Listener]
) -> None:
    def refuse(conn: "psycopg.Connection[Any]") -> None:
        duty.begun += 1
        raise psycopg.errors.UndefinedColumn("another format")

    duty.begin = refuse  # type: ignore[method-assign]
    listener = listen()

    until(lambda: duty.begun, "an attempt")
    listener.close(DEADLINE_S)

    assert duty.begun == 1
    assert not listener.began.is_set()


def test_a_closed_listener_leaves_no_connection(
    listen: Callable[..., Listener], database: psycopg.Connection[Any]
) -> None:
    listener = listen()
    assert listener.began.wait(DEADLINE_S)

    listener.close(DEADLINE_S)

    left = "SELECT FROM pg_stat_activity WHERE application_name = 'memferry test app-1'"
    until(lambda: database.execute(left).fetchone() is None, "the end of its connection")


def test_control_tables_of_another_memferry_are_left_alone_until_they_are_moved(
    settings: Settings,
    database: psycopg.Connection[Any],
    listen: Callable[..., Listener],
    duty: Duty,
    caplog: pytest.LogCaptureFixture,
) -> None:
    establish(database, settings, DOMAIN, 3)
    database.execute("UPDATE memferry.format SET version = 99")
    try:
        listener = listen()
        until(lambda: listener.refused is not None, "the listener has seen the other format")
        assert duty.begun == 0
    finally:
        database.execute("UPDATE memferry.format SET version = %s", (CONTROL_FORMAT,))

    until(lambda: duty.begun == 1, "the listener serves")

    assert listener.refused is None
    assert "have format 99, this memferry writes 1" in caplog.text
