"""The same policy live and in a rebuild: what is parked, and what becomes of it."""

import asyncio
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from projector.fingerprint import accept_code
from projector.parked import parked_streams
from projector.parked_asking import retry_parked
from schemas.domain import Domain
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN, READING, AmountDeposited
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.projecting import eventually, project, projecting
from tests.projector.replaying import replay_to_end

Database = psycopg.Connection[Any]
A, B, C = accounts_in(0, 3)


def fails_on_sevens(event: Any) -> Any:
    if isinstance(event, AmountDeposited) and event.amount == 7:
        raise KeyError("no sevens")
    return ACCOUNT.project(event)


FAILING = Domain("ledger", (replace(ACCOUNT, project=fails_on_sevens), READING), DOMAIN.ddl)


def parked(database: Database, settings: Settings) -> dict[str, tuple[int, str]]:
    return {p.stream: (p.events, p.reason) for p in parked_streams(database, settings.projection)}


async def rebuild(settings: Settings, domain: Domain) -> None:
    await replay_to_end(settings, domain=domain)


@pytest.fixture
def history(app: App, broker: Broker, topic: Settings) -> App:
    """Two of three accounts have an event that the failing handler does not take."""
    app.open(A, B, C)
    for name in (A, B):
        app.deposit(name, 1)
        app.deposit(name, 7)
        app.deposit(name, 2)
    app.deposit(C, 5)
    broker.publish(topic, app.rows())
    return app


async def test_a_rebuild_parks_what_was_parked_live_and_tables_are_equal(
    history: App, settings: Settings, database: Database
) -> None:
    await project(settings, domain=FAILING)
    live = parked(database, settings), tables(database, settings.projection)

    await rebuild(settings, FAILING)

    assert (parked(database, settings), tables(database, settings.projection)) == live
    assert {stream: events for stream, (events, _) in live[0].items()} == {
        f"account/{A}": 2, f"account/{B}": 2
    }  # fmt: skip
    assert "no sevens" in live[0][f"account/{A}"][1]


async def test_a_retry_and_a_rebuild_with_the_mended_handler_come_to_the_same(
    history: App, settings: Settings, database: Database
) -> None:
    await project(settings, domain=FAILING)
    accept_code(database, settings.projection, DOMAIN)

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.partitions, "a projector at work")
        answers = await in_thread(settings)
        retried = tables(database, settings.projection)
    await rebuild(settings, DOMAIN)

    assert {(answer.applied, answer.left) for answer in answers} == {(2, 0)}
    assert retried == tables(database, settings.projection) == history.expected()
    assert parked(database, settings) == {}


async def in_thread(settings: Settings) -> list[Any]:
    def ask() -> list[Any]:
        with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
            return retry_parked(conn, settings.projection, None, 20.0)

    return await asyncio.to_thread(ask)
