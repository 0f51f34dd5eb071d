"""A derived kind's functions: the app's own side and the projector's say the same."""

import dataclasses
import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from schemas.derived.describe import describe
from schemas.derived.kind import derive_kind, kind_of
from schemas.domain import Kind
from schemas.tables import Delete, Upsert
from schemas.validity import EventInvalid, Validator
from tests.schemas.derived.entities import Fill, Order, Position, Trade, order, position

ORDERS = derive_kind("order", Order, key=("order_id",), table="orders")
POSITIONS = derive_kind("position", Position, key=("symbol",), table="positions")


def as_the_projector_has_it(kind: Kind) -> Kind:
    assert kind.description is not None
    return kind_of(kind.description)


def sent(kind: Kind, event: Any) -> Any:
    """Return an event as the projector decodes it."""
    other = as_the_projector_has_it(kind)
    name = next(name for name, cls in kind.events.items() if cls is type(event))
    data = Validator(type(event)).encode(event)
    return msgspec.json.decode(data, type=other.events[name])


@pytest.mark.parametrize(("kind", "entity"), [(ORDERS, order()), (POSITIONS, position())])
def test_an_entity_comes_back_from_its_event(kind: Kind, entity: Any) -> None:
    event = kind.snapshot(entity)

    assert kind.evolve(None, event) == entity
    assert kind.evolve(entity, event) == entity


@pytest.mark.parametrize(("kind", "entity"), [(ORDERS, order()), (POSITIONS, position())])
def test_memory_claims_the_row_that_the_projector_makes(kind: Kind, entity: Any) -> None:
    other = as_the_projector_has_it(kind)
    event = sent(kind, kind.snapshot(entity))

    ((table, row),) = kind.rows(entity)

    assert other.project(event) == (Upsert(table, row),)
    assert other.rows(other.evolve(None, event)) == ((table, row),)
    assert kind.entity_maker()({table.name: [row]}) == [entity]


def test_sets_have_one_order_wherever_they_were_made() -> None:
    one, other = order(), order()
    names = [f"tag-{number}" for number in range(100)]  # enough for places in the set to collide
    one.tags, other.tags = set(names), set(reversed(names))

    assert ORDERS.rows(one) == ORDERS.rows(other)


def test_a_dict_may_have_other_keys_than_text() -> None:
    ladder_type = msgspec.defstruct(
        "Ladder", [("name", str), ("levels", dict[Decimal, dict[int, set[int]]])]
    )
    ladder = derive_kind("ladder", ladder_type, key=["name"])
    entity = ladder_type("a", {Decimal("1.5"): {2: {3, 1}, 1: set()}, Decimal(1): {}})

    event = ladder.snapshot(entity)

    assert event.levels == {"1": {}, "1.5": {"1": [], "2": [1, 3]}}
    assert ladder.evolve(None, event) == entity


def test_two_keys_with_one_text_are_refused() -> None:
    odd_type = msgspec.defstruct("Odd", [("name", str), ("levels", dict[int | str, int])])
    odd = derive_kind("odd", odd_type, key=["name"])

    with pytest.raises(EventInvalid, match=r"Odd\.levels"):
        odd.snapshot(odd_type("a", {1: 1, "1": 2}))


def test_an_ended_entity_is_deleted_by_its_key() -> None:
    assert ORDERS.removal is not None
    event = sent(ORDERS, ORDERS.removal(order(7)))

    (change,) = as_the_projector_has_it(ORDERS).project(event)

    assert change == Delete(ORDERS.tables[0], (7,))
    assert ORDERS.evolve(order(7), ORDERS.removal(order(7))) is None


def test_an_event_shares_nothing_with_its_entity() -> None:
    entity = order()
    event = ORDERS.snapshot(entity)

    entity.fills.append(Fill(Decimal(9), 9))
    entity.notes["by"] = "eve"

    assert ORDERS.evolve(None, event) == order()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"rank": 0}, "Order.rank"),
        ({"limit": 1.5}, "limit is 1.5"),
        ({"side": "buy"}, "Order.side would not read back"),
        ({"status": "gone"}, "Order.status"),
        ({"fills": [Fill(Decimal("NaN"), 1)]}, "Order.fills"),
        ({"fills": [Fill(Decimal(1), 1.5)]}, "Order.fills"),  # type: ignore[arg-type]
        ({"fills": [object()]}, "Order.fills cannot be recorded"),
        ({"notes": {"by": "a\0b"}}, "Order.notes holds a NUL"),
        ({"order_id": 2**63}, "order_id"),
        ({"counts": [2**64]}, "Order.counts cannot be recorded"),
        ({"limit": Decimal("1e200000")}, "Order.limit is .* more digits than PostgreSQL"),
        ({"limit": Decimal("1e-20000")}, "Order.limit is .* more digits than PostgreSQL"),
        ({"placed_at": datetime.datetime(2026, 1, 1)}, "a time without a zone"),  # noqa: DTZ001
        ({"ratio": float("nan")}, "ratio is nan"),
    ],
)
def test_a_value_that_must_not_reach_the_log_is_refused_by_name(
    change: dict[str, Any], named: str
) -> None:
    entity = dataclasses.replace(order(), **change)

    with pytest.raises(EventInvalid, match=named):
        encoded(ORDERS, entity)


@pytest.mark.parametrize("symbol", ["a\0b", "\ud800", "x" * 513])
def test_text_that_no_column_takes_is_refused(symbol: str) -> None:
    with pytest.raises(EventInvalid):
        encoded(POSITIONS, position(symbol))


def test_another_type_than_the_kinds_is_refused() -> None:
    with pytest.raises(EventInvalid, match="a Order is no Position"):
        POSITIONS.snapshot(order())


def test_a_field_that_was_deleted_is_refused() -> None:
    entity = order()
    del entity.ratio

    with pytest.raises(EventInvalid, match="a field is missing"):
        ORDERS.snapshot(entity)


def encoded(kind: Kind, entity: Any) -> bytes:
    event = kind.snapshot(entity)
    return Validator(type(event)).encode(event)


def test_a_fact_is_its_own_event_and_one_row() -> None:
    kind = kind_of(describe("trade", Trade, key=("trade_id",), table="trades", facts=True), Trade)
    fact = Trade("T-1", "BTC", Decimal("42000.10"), 3)
    assert kind.events == {"app.trade.recorded.v1": Trade}

    (change,) = as_the_projector_has_it(kind).project(sent(kind, fact))

    assert change == Upsert(kind.tables[0], ("T-1", "BTC", Decimal("42000.10"), 3))
    assert kind.rows(fact) == ((change.table, change.row),)
    assert kind.entity_maker()({"trades": [change.row]}) == [fact]


@pytest.mark.parametrize(
    "fact", [Trade("T", "B", Decimal(1), 2**63), Trade("a\0", "B", Decimal(1))]
)
def test_a_fact_that_no_column_takes_is_refused(fact: Trade) -> None:
    kind = kind_of(describe("trade", Trade, key=("trade_id",), facts=True), Trade)

    with pytest.raises(EventInvalid, match=r"Trade(\.price is| cannot be kept)"):
        kind.evolve(None, fact)
