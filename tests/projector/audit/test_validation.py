"""The run of the five levels over a source, or two: what comes of it, without any server."""

from collections.abc import Callable, Iterable
from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from projector.audit.levels.level import LEVELS
from projector.audit.records.record import Add, Record, key_writer
from projector.audit.report import Report
from projector.audit.validation import File, validate
from schemas.domain import DomainInvalid
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.schemas.trading.rules.sound import BAR, COMPLETED, EXECUTED, PORTFOLIO, STRATEGY

SETTINGS = Settings(domain="schemas.trading", source="desk")
DESK = (BAR, STRATEGY, EXECUTED, COMPLETED, PORTFOLIO)
KIND_OF = {kind.entity: kind for kind in DOMAIN.kinds}


def held(entities: Iterable[Any], name: str = "x.jsonl", *errors: Record) -> File:
    """A file that holds these, and what cannot be read."""

    def read(add: Add) -> str:
        for line, entity in enumerate(entities, 2):
            kind = KIND_OF[type(entity)]
            add(Record(f"line {line}", kind, key_writer(kind)(entity), entity))
        for record in errors:
            add(record)
        return "all of it"

    return File(name, read)


async def report_of(*sources: File, **options: Any) -> Report:
    return await validate(SETTINGS, DOMAIN, *sources, **options)


def rules(report: Report) -> list[tuple[str, str]]:
    return [(finding.level, finding.rule) for finding in report.findings]


async def test_sound_records_pass_on_all_five_levels() -> None:
    report = await report_of(held(DESK))

    assert report.passed
    assert rules(report) == []
    assert [level.level for level in report.levels] == list(LEVELS)
    assert [level.looked for level in report.levels] == [len(DESK)] * 5
    assert (report.source, report.position) == ("x.jsonl", "all of it")
    assert report.score is not None
    assert report.score.total == 100


@pytest.mark.parametrize(
    ("entity", "level", "rule"),
    [
        (replace(EXECUTED, quantity=D("NaN")), "syntax", "trade.types"),
        (replace(EXECUTED, fees=D(-1)), "semantic", "trade.fees.range"),
        (replace(EXECUTED, filled_value=D(112)), "business", "trade.average_recomputes"),
        (replace(EXECUTED, strategy_id="S-9"), "cross_reference", "trade.strategy_id.refers_to"),
    ],
)
async def test_what_is_wrong_is_found_by_its_level_and_named(
    entity: Any, level: str, rule: str
) -> None:
    report = await report_of(held([*DESK, replace(entity, trade_id="T-9")]))

    found = [one for one in report.findings if one.level == level]
    assert found, rules(report)
    assert any(one.rule.startswith(rule.rpartition(".")[0]) for one in found), rules(report)
    assert any("T-9" in row for one in found for row in one.rows)


async def test_what_cannot_be_read_is_a_finding_and_fails_where_much_of_it_is() -> None:
    wrong = [
        Record(f"line {n}", None, "", error="no JSON", fault="unreadable") for n in range(20, 50)
    ]

    report = await report_of(held(DESK, "x.jsonl", *wrong))

    assert not report.passed
    assert [(one.rule, one.count) for one in report.findings] == [("readable", 30)]


async def test_what_was_lost_vetoes_whatever_the_score() -> None:
    lost = Record("partition 0, offset 7", None, "", error="events 7 to 8", fault="lost")

    report = await report_of(held(list(DESK) * 20, "x.jsonl", lost), threshold=0)

    assert report.score is not None
    assert report.score.vetoes
    assert not report.passed


async def test_the_threshold_is_the_one_that_is_given_or_the_settings() -> None:
    wrong = Record("line 20", None, "", error="no JSON", fault="unreadable")
    source = held(DESK, "x.jsonl", wrong)

    totals = [await report_of(source, threshold=t) for t in (None, 0.0, 100.0)]

    assert [one.score and one.score.threshold for one in totals] == [95, 0, 100]
    assert [one.passed for one in totals][1:] == [True, False]


async def test_a_kind_that_is_asked_for_is_judged_alone_but_held_against_the_others() -> None:
    """Else a trade would be an orphan only since its strategy was not asked for."""
    spoilt = [
        replace(EXECUTED, trade_id="T-9", strategy_id="S-9"),
        replace(STRATEGY, strategy_id="S-2", status="sleeping"),
    ]

    sound = await report_of(held(DESK), kinds=["trade"])
    trades = await report_of(held([*DESK, *spoilt]), kinds=["trade"])
    strategies = await report_of(held([*DESK, *spoilt]), kinds=["strategy"])

    assert rules(sound) == []
    # Its quantity is in no portfolio, either: of that, trade and portfolio are both part.
    assert {(one.level, one.where) for one in trades.findings} == {
        ("cross_reference", "x.jsonl, trade"), ("business", "x.jsonl, trade, portfolio"),
    }  # fmt: skip
    assert {one.where for one in strategies.findings} == {"x.jsonl, strategy"}


async def test_a_kind_that_is_not_there_is_refused() -> None:
    with pytest.raises(DomainInvalid, match="no kind 'trades'"):
        await report_of(held(DESK), kinds=["trades"])


def many(price: Callable[[int], D]) -> list[Any]:
    return [
        *DESK,
        *(replace(EXECUTED, trade_id=f"M-{n}", quantity=price(n), limit_price=D(12))
          for n in range(400)),
    ]  # fmt: skip


async def test_two_sources_are_judged_alike_and_what_drifted_between_them_is_said() -> None:
    first = held(many(lambda n: D(10 + n % 7)), "a.jsonl")
    same = held(many(lambda n: D(10 + n % 7)), "b.jsonl")
    moved = held(many(lambda n: D(20 + n % 7)), "c.jsonl")

    alike, apart = await report_of(first, same), await report_of(first, moved)

    assert alike.source == "a.jsonl and b.jsonl"
    assert alike.levels[0].looked == 2 * len(many(D))
    assert alike.distributions
    assert not any(one.drifted for one in alike.distributions)
    assert {one.field for one in apart.distributions if one.drifted} == {"trade.quantity"}
    assert any(one.level == "statistical" and "quantity" in one.rule for one in apart.findings)


async def test_progress_is_told_by_source_and_at_its_end() -> None:
    told: list[tuple[str, int]] = []

    await report_of(
        held(DESK, "a.jsonl"), held(DESK, "b.jsonl"), told=lambda *said: told.append(said)
    )

    assert told == [("a.jsonl", len(DESK)), ("b.jsonl", len(DESK))]
