"""A kind declared without any code is validated by what its types say."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from decimal import Decimal as D
from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta
from msgspec.structs import replace

from schemas.default_rules import kinds_without_rules, rules_of
from schemas.derived.kind import derive_kind, kind_of
from schemas.domain import Domain
from schemas.rules import (
    OneOf,
    Plausible,
    Range,
    Rules,
    SameTime,
)
from schemas.trading import DOMAIN as TRADING
from tests.projector.audit.levels.given import as_held, as_logged, breaches, results

MAY = datetime(2026, 5, 1, 12, tzinfo=UTC)
MAY_NS = int(MAY.timestamp()) * 10**9


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Order(msgspec.Struct, frozen=True):
    order_id: str
    size: Size = Size.SMALL
    side: Literal["buy", "sell"] = "buy"
    pieces: Annotated[int, Meta(ge=1, lt=100)] = 1
    price: D = D(1)
    weight: Annotated[float, Meta(gt=0)] = 1.0
    updated_at: Annotated[datetime, Meta(tz=True)] = MAY
    updated_at_ns: int = MAY_NS
    sent_at_ms: int = MAY_NS // 10**6


class Payment(msgspec.Struct, frozen=True):
    payment_id: int
    order_id: str | None
    amount: D


class Note(msgspec.Struct, frozen=True):
    note_id: str
    text: str


ORDER = derive_kind("order", Order, key=("order_id",))
PAYMENT = derive_kind("payment", Payment, key=("payment_id",))
NOTE = derive_kind("note", Note, key=("note_id",))
SHOP = Domain("shop", (ORDER, PAYMENT), "")

BROKEN: list[tuple[str, Any]] = [
    ("order.size.one_of", "medium"),
    ("order.side.one_of", "hold"),
    ("order.pieces.range", 0),
    ("order.pieces.range", 100),
    ("order.price.range", D("NaN")),
    ("order.weight.range", 0.0),
    ("order.weight.range", float("inf")),
    ("order.updated_at.plausible", datetime(1970, 1, 21, 12, tzinfo=UTC)),
    ("order.updated_at_ns.same_time", MAY_NS // 1000),
    ("order.updated_at_ns.same_time", MAY_NS + 1000),
    ("order.sent_at_ms.plausible", MAY_NS // 10**9),
    ("order.sent_at_ms.plausible", MAY_NS // 1000),
]
NEAR: list[tuple[str, Any]] = [
    ("order.size.one_of", Size.LARGE),
    ("order.size.one_of", "large"),
    ("order.side.one_of", "sell"),
    ("order.pieces.range", 1),
    ("order.pieces.range", 99),
    ("order.price.range", D("-1E+50")),
    ("order.weight.range", 5e-324),
    ("order.updated_at.plausible", datetime(1969, 12, 31, 23, 59, tzinfo=UTC)),
    ("order.updated_at_ns.same_time", MAY_NS + 999),
    ("order.sent_at_ms.plausible", MAY_NS // 10**6 + 1),
    ("order.sent_at_ms.plausible", 0),
]


def order(rule: str, value: Any) -> Order:
    return replace(Order("O-1"), **{rule.split(".")[1]: value})


@pytest.mark.parametrize(("rule", "value"), BROKEN)
def test_what_follows_from_a_derived_kinds_types_is_checked(rule: str, value: Any) -> None:
    found = breaches(SHOP, as_held(SHOP, [order(rule, value)]))

    assert found[rule].count == 1
    assert found[rule].next == "memferry audit bisect --table order --key O-1"


@pytest.mark.parametrize(("rule", "value"), NEAR)
def test_a_value_at_the_edge_of_its_type_is_not(rule: str, value: Any) -> None:
    assert rule not in breaches(SHOP, as_held(SHOP, [order(rule, value)]))


def test_every_derived_rule_has_both() -> None:
    names = {rule.name for rule in rules_of(SHOP).of((Range, OneOf, Plausible, SameTime), "order")}

    assert {rule for rule, _ in BROKEN} == names
    assert {rule for rule, _ in NEAR} == names


def test_the_ends_of_what_a_column_holds_are_no_range() -> None:
    volume = next(r for r in rules_of(TRADING).of(Range, "market_data") if r.field == "volume")

    assert str(volume) == ">= 0"
    assert "market_data.opened_at_ns.range" not in {rule.name for rule in rules_of(TRADING)}


def test_a_field_named_as_anothers_key_refers_to_it() -> None:
    there, lost, none = (Payment(n, o, D(1)) for n, o in ((1, "O-1"), (2, "O-2"), (3, None)))
    rule = "payment.order_id.refers_to_order"

    payment = SHOP.kind("payment").snapshot
    made = [ORDER.snapshot(Order("O-1")), *map(payment, (there, none, lost))]

    found = breaches(SHOP, as_logged(SHOP, made))
    held = breaches(SHOP, as_held(SHOP, [Order("O-1"), there, none, lost]))

    assert list(found) == [rule]
    assert found[rule].rows[0].startswith("2")
    assert not found[rule].veto
    assert held == {}  # the order may have ended since: only the log shows that it never was


def test_an_update_before_the_last_one_is_found_in_a_derived_kinds_log() -> None:
    early = replace(Order("O-1"), updated_at=MAY.replace(hour=11))
    early = replace(early, updated_at_ns=MAY_NS - 3600 * 10**9)
    events = [ORDER.snapshot(Order("O-1")), ORDER.snapshot(early)]

    assert "order.updated_at_ns.in_order" in breaches(SHOP, as_logged(SHOP, events))
    assert breaches(SHOP, as_logged(SHOP, events[::-1])) == {}


def test_the_projector_knows_a_derived_kind_by_its_description_alone() -> None:
    assert ORDER.description is not None
    known = Domain("shop", (kind_of(ORDER.description),), "")
    entity = known.kinds[0].entity("O-1", "small", "buy", 1, D("NaN"), 1.0, MAY, MAY_NS + 1000, 7)

    found = breaches(known, as_held(known, [entity]))

    assert set(found) == {
        "order.price.range", "order.updated_at_ns.same_time", "order.sent_at_ms.plausible"
    }  # fmt: skip


def test_a_table_without_a_rule_is_a_finding_that_closes_the_gate() -> None:
    silent = Domain("shop", (ORDER, NOTE), "")

    found = breaches(silent, as_held(silent, [Note("N-1", "hello")]), "semantic")

    assert kinds_without_rules(silent) == ["note"]
    assert list(found) == ["note.without_rules"]
    assert not found["note.without_rules"].veto
    assert found["note.without_rules"].what == "a table without a rule"
    assert kinds_without_rules(
        changed(silent, rules=Rules((OneOf("note", "text", ("hello",)),)))
    ) == []  # fmt: skip


def test_a_rule_may_be_declared_before_its_kind_is_known() -> None:
    early = Domain("shop", (ORDER,), "", Rules((Range("payment", "amount", above=0),)))
    rule = "payment.amount.range"

    known = early.with_kinds([PAYMENT])

    assert rule in breaches(known, as_held(known, [Payment(1, None, D(0))]))
    said = results(early, [], "semantic")["semantic"]
    assert said.skipped == [f"{rule}: there is no kind payment"]
    assert rule not in said.rules
