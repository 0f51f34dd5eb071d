"""Derived kinds on the read side: known from the log alone, also those declared while it runs."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql

import eventlog
from eventlog.shim import Ferry
from projector.audit.run import audit
from projector.declared import KindContradicted, whole_domain
from schemas.derived.describe import describe
from schemas.domain import load_domain
from schemas.settings import Outbox, Settings
from tests.projector.projecting import project, projecting
from tests.projector.replaying import replay_to_end
from tests.schemas.derived.entities import Order, Position, Trade, order, position

EMPTY = load_domain("")
DEADLINE_S = 20.0


@pytest.fixture
def plain(make_settings: Callable[..., Settings]) -> Settings:
    """Settings of an app without a hand-written kind."""
    return make_settings(domain="")


@pytest.fixture
def attach(plain: Settings) -> Iterator[Callable[..., Ferry]]:
    """Attach apps, closed at the end."""
    ferries: list[Ferry] = []

    def make(given: Settings = plain) -> Ferry:
        ferries.append(eventlog.attach(given))
        return ferries[-1]

    yield make
    for ferry in ferries:
        ferry.close(DEADLINE_S)


def register(ferry: Ferry, cls: type, stream: str, key: str, content: dict[Any, Any]) -> None:
    ferry.entity(stream=stream, key=key)(cls)
    ferry.declarations.kind_of_entity(cls, f"{stream}s")
    ferry.register(stream, content)


def rows(settings: Settings, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.postgres.dsn) as conn:
        statement = sql.SQL("SELECT * FROM {} ORDER BY 1")
        return conn.execute(statement.format(sql.Identifier(settings.projection, table))).fetchall()


async def test_a_projector_without_user_code_makes_tables_and_rows(
    plain: Settings, attach: Callable[..., Ferry]
) -> None:
    ferry = await asyncio.to_thread(attach)
    register(ferry, Position, "position", "symbol", {"BTC": position()})
    register(ferry, Order, "order", "order_id", {1: order()})
    ferry.event(stream="trade", key="trade_id")(Trade)
    ferry.snapshot()
    await asyncio.to_thread(ferry.snapshot_done.wait, DEADLINE_S)
    receipt = ferry.record(Trade("T-1", "BTC", Decimal("42.10"), 3))
    await receipt.until_replicated(DEADLINE_S)

    progress = await project(plain, domain=EMPTY)

    assert not progress.stopped
    assert rows(plain, "positions") == [("BTC", Decimal(1), Decimal("42000.10"))]
    assert rows(plain, "trades") == [("T-1", "BTC", Decimal("42.10"), 3)]
    (row,) = rows(plain, "orders")
    sample = order()
    assert row == (
        1, "buy", "open", Decimal("1.50"), 1, 0.1, True, sample.placed_at, sample.day,
        str(sample.token), [{"price": "1.50", "quantity": 2}], ["a", "b"], {"by": "ann"}, [],
    )  # fmt: skip


async def test_a_kind_declared_while_the_projector_runs_is_served(
    plain: Settings, attach: Callable[..., Ferry]
) -> None:
    ferry = await asyncio.to_thread(attach)
    async with projecting(plain, EMPTY) as projector:
        register(ferry, Position, "position", "symbol", {})
        kind = ferry.domain.kind("position")
        first = ferry.record(kind.snapshot(position()))
        await first.until_applied(DEADLINE_S)
        ferry.event(stream="trade", key="trade_id")(Trade)
        second = ferry.record(Trade("T-1", "BTC", Decimal(1)))

        await second.until_applied(DEADLINE_S)

        assert not projector.progress.stopped
    assert len(rows(plain, "trades")) == len(rows(plain, "positions")) == 1


async def test_an_audit_and_a_replay_know_the_kinds_from_the_log(
    plain: Settings, attach: Callable[..., Ferry]
) -> None:
    ferry = await asyncio.to_thread(attach)
    positions = {"BTC": position(), "ETH": position("ETH", "2")}
    register(ferry, Position, "position", "symbol", positions)
    kind = ferry.domain.kind("position")
    assert kind.removal is not None
    ferry.snapshot()
    await asyncio.to_thread(ferry.snapshot_done.wait, DEADLINE_S)
    removed = ferry.record(kind.removal(position("ETH")))
    async with projecting(plain, EMPTY):
        await removed.until_applied(DEADLINE_S)
        whole = await whole_domain(plain, EMPTY)
        found = await audit(plain, whole, with_memory=True, timeout_s=DEADLINE_S)
    before = rows(plain, "positions")

    await replay_to_end(plain, domain=whole)

    assert not found.findings
    assert found.memory_rows == {"positions": 1}
    assert rows(plain, "positions") == before == [("BTC", Decimal(1), Decimal("42000.10"))]


async def test_two_sources_that_contradict_each_other_are_refused(
    plain: Settings, attach: Callable[..., Ferry], make_settings: Callable[..., Settings]
) -> None:
    other = make_settings(
        domain="", topic=plain.topic, source="app-2", outbox=Outbox(path="other.db")
    )
    for given, cls in ((plain, Position), (other, Order)):
        ferry = await asyncio.to_thread(attach, given)
        key = "symbol" if cls is Position else "order_id"
        ferry.declarations.declare(describe("thing", cls, key=(key,)), cls)
        ferry.close(DEADLINE_S)

    with pytest.raises(KindContradicted, match="source 'app-2' declares kind 'thing'"):
        await whole_domain(plain, EMPTY)
