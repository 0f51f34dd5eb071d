"""What the page on rules tells users to write works as it stands there."""

import dataclasses
import re
import textwrap
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from schemas import rules
from schemas.default_rules import rules_of
from schemas.derived.kind import derive_kind
from schemas.domain import DERIVED_ONLY, Domain
from schemas.reconciliation import Unbalanced
from schemas.rules import Content, Measured, Timed
from tests.projector.audit.levels.given import as_held, as_logged, breaches

PAGE = (Path(__file__).parent.parent / "docs" / "rules.md").read_text(encoding="utf-8")
PLACED = datetime(2026, 5, 1, 12, tzinfo=UTC)
PLACED_NS = int(PLACED.timestamp()) * 10**9
HOUR_NS = 3600 * 10**9


class Order(msgspec.Struct, frozen=True):
    order_id: str = "O-1"
    customer_id: str = "C-1"
    status: str = "placed"
    pieces: int = 2
    price: Decimal = Decimal("1.5")
    total: Decimal = Decimal(3)
    currency: str = "EUR"
    placed_at: datetime = PLACED
    placed_at_ns: int = PLACED_NS
    paid_at_ns: int | None = None


class Delivery(msgspec.Struct, frozen=True):
    order_id: str = "O-1"
    number: int = 1
    pieces: int = 1
    sent_at: datetime = PLACED
    currency: str = "EUR"


class Customer(msgspec.Struct, frozen=True):
    customer_id: str = "C-1"
    rating: float = 1.0


def shop() -> Domain:
    """Return the domain of the page, with the kinds that its app declares."""
    blocks = [textwrap.dedent(b) for b in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)]
    names: dict[str, Any] = vars(rules) | {
        "Any": Any, "Counter": Counter, "DERIVED_ONLY": DERIVED_ONLY, "Domain": Domain,
        "Iterator": Iterator, "UTC": UTC, "Unbalanced": Unbalanced, "datetime": datetime,
        "is_unpaid": lambda order: order.status == "placed",
    }  # fmt: skip
    for block in blocks:
        exec(block, names)  # noqa: S102  (our own page)
    domain: Domain = names["DOMAIN"]
    return domain.with_kinds(
        [
            derive_kind("order", Order, key=("order_id",)),
            derive_kind("delivery", Delivery, key=("order_id", "number"), stream=("order_id",)),
            derive_kind("customer", Customer, key=("customer_id",)),
        ]
    )


SHOP = shop()
ORDER, CUSTOMER = Order(), Customer()
FIRST, SECOND = Delivery(), Delivery(number=2)

BROKEN: list[tuple[str, list[Any]]] = [
    ("order.pieces.range", [replace(ORDER, pieces=1000)]),
    ("order.status.one_of", [replace(ORDER, status="lost")]),
    ("order.price.precision", [replace(ORDER, price=Decimal("1.505"))]),
    ("order.placed_at_ns.same_time", [replace(ORDER, placed_at_ns=PLACED_NS // 1000)]),
    ("order.paid_at_ns.plausible", [replace(ORDER, paid_at_ns=PLACED_NS // 1000)]),
    ("order.placed_at_ns_to_paid_at_ns.ascending", [replace(ORDER, paid_at_ns=PLACED_NS - 1)]),
    ("delivery.sent_at.in_order", [FIRST, replace(SECOND, sent_at=PLACED.replace(hour=11))]),
    ("order.total_recomputes", [replace(ORDER, total=Decimal("3.01"))]),
    ("no_more_sent_than_ordered", [ORDER, FIRST, replace(SECOND, pieces=2)]),
    ("order.customer_id.refers_to_customer", [CUSTOMER, replace(ORDER, customer_id="C-2")]),
    ("delivery.order_id.refers_to_order", [ORDER, replace(FIRST, order_id="O-2")]),
    ("delivery.order_id.refers_to_order.same", [ORDER, replace(FIRST, currency="USD")]),
    ("delivery.number.gapless", [FIRST, replace(SECOND, number=3)]),
]
NEAR: list[tuple[str, list[Any]]] = [
    ("order.pieces.range", [replace(ORDER, pieces=999)]),
    ("order.status.one_of", [replace(ORDER, status="refunded")]),
    ("order.price.precision", [replace(ORDER, price=Decimal("1.51"))]),
    ("order.placed_at_ns.same_time", [replace(ORDER, placed_at_ns=PLACED_NS + 999)]),
    ("order.paid_at_ns.plausible", [replace(ORDER, paid_at_ns=PLACED_NS + HOUR_NS)]),
    ("order.placed_at_ns_to_paid_at_ns.ascending", [replace(ORDER, paid_at_ns=PLACED_NS)]),
    ("delivery.sent_at.in_order", [FIRST, SECOND]),
    ("order.total_recomputes", [replace(ORDER, total=Decimal("3.0"))]),
    ("no_more_sent_than_ordered", [ORDER, FIRST, SECOND]),
    (
        "order.customer_id.refers_to_customer",
        [CUSTOMER, replace(ORDER, customer_id="C-2", status="paid")],
    ),
    ("delivery.order_id.refers_to_order", [ORDER, FIRST]),
    ("delivery.order_id.refers_to_order.same", [ORDER, FIRST]),
    ("delivery.number.gapless", [replace(FIRST, number=2), replace(SECOND, number=3)]),
]


@pytest.mark.parametrize(("rule", "entities"), BROKEN)
def test_a_rule_of_the_page_is_broken(rule: str, entities: list[Any]) -> None:
    assert rule in breaches(SHOP, as_held(SHOP, entities))


@pytest.mark.parametrize(("rule", "entities"), NEAR)
def test_a_rule_of_the_page_is_kept(rule: str, entities: list[Any]) -> None:
    assert rule not in breaches(SHOP, as_held(SHOP, entities))


def test_a_step_of_the_page_is_broken_and_kept() -> None:
    snapshot = SHOP.kind("order").snapshot
    dearer = replace(ORDER, price=Decimal(2), total=Decimal(4))

    changed = breaches(SHOP, as_logged(SHOP, [snapshot(ORDER), snapshot(dearer)]))
    kept = breaches(SHOP, as_logged(SHOP, [snapshot(ORDER), snapshot(ORDER)]))

    assert set(changed) == {"order.keeps_its_price"}
    assert kept == {}


def test_the_page_shows_every_rule_that_there_is() -> None:
    said = {type(rule).__name__ for rule in SHOP.rules}
    there = {
        name
        for name, rule in vars(rules).items()
        if dataclasses.is_dataclass(rule) and not name.startswith("_")
    }

    assert said == there - {"Rules"}
    tested = {rule.removesuffix(".same") for rule, _ in BROKEN} | {"order.keeps_its_price"}
    of_values = {
        rule.name for rule in SHOP.rules if not isinstance(rule, Measured | Timed | Content)
    }
    assert tested == of_values


def test_the_page_names_what_follows_from_the_types() -> None:
    derived = {type(rule).__name__ for rule in rules_of(SHOP)} - {"Check", "StepCheck", "Reconcile"}

    for name in derived - {"Precision", "Ascending", "Gapless", "Content"}:
        assert f"`{name}`" in PAGE.partition("## What follows from the types")[2]
