"""What was only behind the cut of a partition is no finding once it is looked at again."""

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from projector.audit.levels.business import BusinessLevel
from projector.audit.levels.cross_reference import CrossReferenceLevel
from projector.audit.levels.level import LevelResult
from schemas.trading import DOMAIN
from tests.projector.audit.levels.given import as_held, as_logged
from tests.schemas.trading.rules.sound import BAR, COMPLETED, EXECUTED, OPENED, STRATEGY
from tests.schemas.trading.rules.test_book import HISTORY

LATER = replace(COMPLETED, execution_id="E-9", trade_id="T-9")


def look(level: Any, records: Iterable[Any]) -> LevelResult:
    for record in records:
        level.add(record)
    result: LevelResult = level.finish()
    return result


def test_a_reference_to_what_came_meanwhile_is_no_finding() -> None:
    other = replace(EXECUTED, trade_id="T-0")
    first = CrossReferenceLevel(DOMAIN)
    assert look(first, as_held(DOMAIN, [STRATEGY, BAR, other, COMPLETED])).broken == 1

    come = CrossReferenceLevel(DOMAIN, first.suspects)
    found = look(come, as_held(DOMAIN, [STRATEGY, BAR, other, EXECUTED, COMPLETED, LATER]))
    assert (found.broken, found.breaches) == (0, [])

    lost = CrossReferenceLevel(DOMAIN, first.suspects)
    found = look(lost, as_held(DOMAIN, [STRATEGY, BAR, other, COMPLETED, LATER]))
    assert [breach.rows for breach in found.breaches] == [["E-1"]]
    assert found.broken == 1


def test_a_snapshot_whose_fills_came_meanwhile_is_no_finding() -> None:
    behind = [event for event in HISTORY[:7] if event is not HISTORY[5]]
    first = BusinessLevel(DOMAIN)
    assert look(first, as_logged(DOMAIN, behind)).broken == 2

    come = BusinessLevel(DOMAIN, first.suspects)
    assert look(come, as_logged(DOMAIN, HISTORY)).breaches == []

    lost = BusinessLevel(DOMAIN, first.suspects)
    found = look(lost, as_logged(DOMAIN, behind))
    assert [breach.rule for breach in found.breaches] == ["book.balances"]


def test_what_a_record_says_of_itself_needs_no_second_look() -> None:
    first = BusinessLevel(DOMAIN)
    look(first, as_logged(DOMAIN, HISTORY))
    second = BusinessLevel(DOMAIN, first.suspects)

    found = look(second, as_logged(DOMAIN, [OPENED, OPENED]))

    assert [breach.rule for breach in found.breaches] == ["trade.steps"]
