"""Entities that change in place: what was read stays as it was read, and is compared by state."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping

import psycopg
import pytest
from psycopg import sql

import eventlog
from eventlog.reads.memory import Memory
from eventlog.reads.question import Questions
from eventlog.shim import Ferry
from schemas.domain import load_domain
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App
from tests.projector.projecting import projecting


@dataclasses.dataclass(eq=False)
class Order:
    """Equal to nothing but itself, as many an app's objects are."""

    order_id: str
    filled: int
    fills: list[int] = dataclasses.field(default_factory=list)


@pytest.fixture
def ferry(app: App) -> Ferry:
    app.ferry.entity(stream="order", key="order_id")(Order)
    return app.ferry


@pytest.fixture
def orders(ferry: Ferry) -> Mapping[str, Order]:
    held: dict[str, Order] = ferry.dict("orders", Order)
    held["A"] = Order("A", 1, [1])
    return held


def memory_of(ferry: Ferry) -> Memory:
    return Memory(ferry.domain.kind("order"), lambda: ferry.stores()["order"], ferry.memory_lock)


def test_what_was_read_from_memory_does_not_change(
    ferry: Ferry, orders: Mapping[str, Order]
) -> None:
    memory = memory_of(ferry)
    questions = Questions(ferry.domain.kind("order"))
    read = memory.get("A")
    (listed,) = memory.entities(questions.one("A"))

    orders["A"].filled = 2
    orders["A"].fills.append(2)

    assert (read.filled, read.fills) == (listed.filled, listed.fills) == (1, [1])
    assert memory.get("A").fills == [1, 2]


def test_what_was_read_of_a_watched_container_does_not_change(ferry: Ferry) -> None:
    held = {"A": Order("A", 1, [1])}
    ferry.watch("orders", held, Order)
    read = memory_of(ferry).get("A")

    with ferry.mutates("orders"):
        held["A"].fills.append(2)

    assert read.fills == [1]


def test_what_was_read_can_be_changed_without_being_recorded(
    ferry: Ferry, orders: Mapping[str, Order]
) -> None:
    row = ferry.recorded_position()
    read = memory_of(ferry).get("A")

    read.fills.append(9)

    assert orders["A"].fills == [1]
    assert ferry.recorded_position() == row


async def test_tables_are_compared_by_state(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(domain="")
    ferry = await asyncio.to_thread(eventlog.attach, settings)
    ferry.entity(stream="order", key="order_id")(Order)
    orders = ferry.dict("orders", Order)
    orders["A"], orders["B"] = Order("A", 1, [1]), Order("B", 2)
    async with projecting(settings, load_domain("")):
        await asyncio.to_thread(
            ferry.applied_through, ferry.recorded_position(), range(3), DEADLINE_S
        )
        right = await asyncio.to_thread(ferry.reads.sample)
        with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
            table = sql.Identifier(settings.projection, "orders")
            conn.execute(sql.SQL("UPDATE {} SET fills = '[7]' WHERE order_id = 'A'").format(table))

        wrong = await asyncio.to_thread(ferry.reads.sample)

        await asyncio.to_thread(ferry.close, DEADLINE_S)
    assert (dict(right.compared), right.mismatches) == ({"order": 2}, [])
    (mismatch,) = wrong.mismatches
    assert (mismatch.kind, mismatch.key, mismatch.what) == ("order", "A", ("fills",))
