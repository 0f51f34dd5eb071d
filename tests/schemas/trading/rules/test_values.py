"""Every semantic rule of the trading domain has a value that breaks it, and one that does not."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from projector.audit.levels.field_tests import SEMANTIC
from schemas.default_rules import rules_of
from schemas.rules import Ascending, InOrder, OneOf, Plausible, Precision, Range, Rule, SameTime
from schemas.trading import DOMAIN
from schemas.trading.market_data import BarReceived
from schemas.trading.portfolio import PortfolioTaken
from tests.projector.audit.levels.given import as_held, as_logged, breaches
from tests.schemas.trading.rules import sound

RULES = rules_of(DOMAIN)
SMALLEST = D("1E-8")
SOUND: tuple[Any, ...] = (
    sound.BAR, sound.STRATEGY, sound.CLOSED, sound.COMPLETED, sound.PORTFOLIO, *sound.HISTORY,
)  # fmt: skip
"""Something that has each field."""


class Case(NamedTuple):
    rule: Rule
    value: Any
    broken: bool


def cases() -> Iterator[Case]:
    for rule in RULES.of(SEMANTIC):
        for value in wrong(rule):
            yield Case(rule, value, True)
        for value in right(rule):
            yield Case(rule, value, False)


def wrong(rule: Rule) -> list[Any]:
    match rule:
        case Range(at_least=low, above=above, at_most=high):
            out = [D("NaN"), D("Infinity"), "1"]
            out += [D(low) - SMALLEST] if low is not None else []
            out += [D(above)] if above is not None else []
            out += [D(high) + SMALLEST] if high is not None else []
            return out
        case OneOf():
            return ["", "bought", "BUY"]
        case Precision(places=places) if places:
            return [D("1.5") + D(1).scaleb(-places - 1)]
        case Plausible():
            seconds_as_ms = 1_772_461_800 / 1000
            return [
                sound.DAY - timedelta(seconds=sound.DAY.timestamp() - seconds_as_ms),
                sound.DAY.replace(year=2200), sound.DAY.replace(year=1899),
                sound.DAY.replace(tzinfo=None),
            ]  # fmt: skip
        case SameTime():
            return [0, -1000, +1000, None]
        case _:
            return ["first"]


def right(rule: Rule) -> list[Any]:
    match rule:
        case Range(at_least=low, above=above, at_most=high):
            ends = [end for end in (low, high) if end is not None]
            return [*map(D, ends), D(above or 0) + SMALLEST]
        case OneOf(values=values):
            return list(values)
        case Precision(places=places) if places:
            return [D("1.5") + D(1).scaleb(-places), D("1.500000000000000000000")]
        case Plausible():
            return [sound.DAY.replace(year=2199), sound.DAY.replace(year=1900), sound.DAY]
        case SameTime():
            return [-999, +999]
        case _:
            return ["equal"]


def with_value(case: Case) -> Any:
    """Return something sound but for the one value."""
    rule, value = case.rule, case.value
    names = rule.fields if isinstance(rule, Ascending) else (getattr(rule, "field", ""),)
    for one in SOUND:
        kind = DOMAIN.kind_of.get(type(one)) or next(
            k for k in DOMAIN.kinds if k.entity is type(one)
        )
        if kind.name == rule.kind and set(names) <= set(one.__struct_fields__):
            break
    else:
        raise AssertionError(f"nothing has {names}")
    match rule:
        case SameTime(twin=twin) if value:
            instant = getattr(one, twin)
            exact = int(instant.timestamp()) * 10**9
            return replace(one, **{names[0]: exact + value})
        case Ascending(fields=fields):
            first = getattr(one, fields[1])
            return replace(one, **{fields[0]: first + (value == "first")})
        case _:
            return replace(one, **{names[0]: value})


@pytest.mark.parametrize("case", [*cases()], ids=lambda c: f"{c.rule.name}-{c.value}")
def test_a_value_breaks_its_rule_or_is_near_the_edge(case: Case) -> None:
    changed = with_value(case)
    records = (as_logged if type(changed) in DOMAIN.kind_of else as_held)(DOMAIN, [changed])

    found = breaches(DOMAIN, records, "semantic")

    assert (case.rule.name in found) is case.broken
    if case.broken:
        breach = found[case.rule.name]
        assert breach.observed
        assert breach.expected
        assert breach.rows
        assert breach.level == "semantic"


def test_every_semantic_rule_has_both() -> None:
    names = {rule.name for rule in RULES.of(SEMANTIC)}

    assert {case.rule.name for case in cases() if case.broken} == names
    assert {case.rule.name for case in cases() if not case.broken} == names


@pytest.mark.parametrize("seconds", [1, 0, -1])
@pytest.mark.parametrize("rule", RULES.of(InOrder), ids=lambda rule: rule.name)
def test_time_does_not_fall_within_a_stream(rule: InOrder, seconds: int) -> None:
    events = in_order(rule, seconds)

    found = breaches(DOMAIN, as_logged(DOMAIN, events), "semantic")

    assert (rule.name in found) is (seconds < 0)


def in_order(rule: InOrder, seconds: int) -> list[Any]:
    """Return two records of one stream, the second so much after the first."""
    entity = next(e for e in sound.DESK if isinstance(e, DOMAIN.kind(rule.kind).entity))
    later = getattr(entity, rule.field) + seconds * 10**9
    then = getattr(entity, rule.field.removesuffix("_ns")) + timedelta(seconds=seconds)
    moved = replace(entity, **{rule.field: later, rule.field.removesuffix("_ns"): then})
    snapshot = DOMAIN.kind(rule.kind).snapshot
    created = {"market_data": BarReceived, "portfolio": PortfolioTaken}.get(rule.kind)
    if created is None:
        return [snapshot(entity), snapshot(moved)]
    return [
        created(*(getattr(one, name) for name in one.__struct_fields__)) for one in (entity, moved)
    ]


def test_entities_of_a_stream_are_judged_by_their_keys_and_not_by_how_they_are_read() -> None:
    first, then = sound.at(0), sound.at(60)
    bars = [replace(sound.BAR, opened_at=t, opened_at_ns=ns) for t, ns in (then, first)]
    late = replace(sound.BAR, opened_at=sound.at(120)[0], opened_at_ns=first[1])

    assert "market_data.opened_at_ns.in_order" not in breaches(DOMAIN, as_held(DOMAIN, bars))
    found = breaches(DOMAIN, as_held(DOMAIN, [*bars, late]))
    assert found["market_data.opened_at_ns.in_order"].count == 1
