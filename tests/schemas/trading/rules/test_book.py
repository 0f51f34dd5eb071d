"""Cash and positions follow from the trades, or a snapshot is named and the gate is closed."""

from decimal import Decimal as D
from typing import Any

import pytest
from msgspec.structs import replace

from projector.audit.levels.level import Breach
from schemas.trading import DOMAIN
from schemas.trading.portfolio import PortfolioTaken, Position, equity
from tests.compose.trading_app.trading import Traded, trade
from tests.projector.audit.levels.given import as_held, as_logged, breaches, results
from tests.schemas.trading.rules.sound import EXECUTED, EXIT, FILLED, LAST, OPENED, SOLD, at

CENT = D("0.01")


def taken(seconds: int, cash: D | str | int, held: int = 0, symbol: str = "IBM") -> PortfolioTaken:
    positions = (Position(symbol, D(held), D(11), D(12)),) if held else ()
    return PortfolioTaken("main", *at(seconds), D(cash), equity(D(cash), positions), positions)


HISTORY: list[Any] = [
    taken(5, 1000), OPENED, taken(15, 1000), FILLED, taken(25, "955.5", 4), LAST,
    taken(35, "885.75", 10), EXIT, taken(45, "1004.75"),
]  # fmt: skip


def found_in(records: Any) -> Breach | None:
    return breaches(DOMAIN, records, "business").get("book.balances")


def test_a_sound_history_balances_whatever_order_its_streams_come_in() -> None:
    assert found_in(as_logged(DOMAIN, HISTORY)) is None
    apart = sorted(HISTORY, key=lambda event: isinstance(event, PortfolioTaken))
    assert found_in(as_logged(DOMAIN, apart)) is None
    assert found_in(as_logged(DOMAIN, reversed(apart[-5:]))) is None


@pytest.mark.parametrize("place", range(2, 10, 2))
def test_a_cent_too_much_is_found_where_it_appears_and_where_it_goes(place: int) -> None:
    events = list(HISTORY)
    right = events[place]
    events[place] = replace(right, cash=right.cash + CENT, equity=right.equity + CENT)

    found = found_in(as_logged(DOMAIN, events))

    assert found is not None
    assert found.veto
    assert found.count == (1 if place == 8 else 2)
    assert found.observed == f"cash {right.cash + CENT}"
    assert found.expected.startswith(f"cash {right.cash}, ")
    assert found.next == f"memferry audit bisect --table portfolio_snapshots --key {key(right)}"


def key(event: PortfolioTaken) -> str:
    return f"main/{event.taken_at.isoformat()}"


def test_a_share_too_many_is_found() -> None:
    events = list(HISTORY)
    events[6] = taken(35, "885.75", 11)

    found = found_in(as_logged(DOMAIN, events))

    assert found is not None
    assert (found.observed, found.expected) == ("11 of IBM", "10 of IBM, by its trades")


def test_a_position_that_no_trade_holds_is_found_and_one_that_is_missing() -> None:
    foreign = [*HISTORY[:6], taken(35, "885.75", 10, "AAPL")]

    found = found_in(as_logged(DOMAIN, foreign))

    assert found is not None
    assert found.count == 2


def test_a_lost_fill_is_found_once_after_it() -> None:
    events = [event for event in HISTORY if event is not LAST and event is not EXIT]
    events[-1] = taken(45, "885.75", 10)

    found = found_in(as_logged(DOMAIN, events))

    assert found is not None
    assert found.rows == [f"portfolio {key(taken(35, 0))}"] * 2  # its cash, and its position


def test_what_happened_in_the_snapshots_own_moment_may_be_in_it_or_not() -> None:
    for cash, held in (("955.5", 4), ("1000", 0)):
        assert (
            found_in(as_logged(DOMAIN, [taken(5, 1000), OPENED, FILLED, taken(20, cash, held)]))
            is None
        )
    assert found_in(as_logged(DOMAIN, [taken(5, 1000), OPENED, FILLED, taken(20, "955.51", 4)]))


def test_of_a_trade_seen_only_as_it_ended_the_range_is_known() -> None:
    def held(seconds: int, cash: str, quantity: int, ended: Any = EXECUTED) -> Breach | None:
        snapshots = [taken(5, 1000), taken(seconds, cash, quantity)]
        entities = [DOMAIN.kind("portfolio").evolve(None, event) for event in snapshots]
        return found_in(as_held(DOMAIN, [ended, *entities]))

    assert held(20, "1000", 0) is None
    assert held(20, "885.75", 10) is None
    assert held(20, "930", 5) is None
    assert held(20, "885.74", 10)
    assert held(20, "1000.01", 0)
    assert held(20, "930", 11)
    assert held(35, "885.75", 10) is None
    assert held(35, "885.76", 10)
    assert held(35, "885.75", 9)
    assert held(20, "1113", -10, SOLD) is None
    assert held(20, "1113.01", -10, SOLD)
    assert held(35, "1111.75", -10, SOLD) is None


def test_portfolios_and_trades_that_do_not_belong_together_are_said_and_not_judged() -> None:
    foreign = replace(taken(5, 1), portfolio_id="fund")
    moved = replace(taken(9, 2), portfolio_id="fund")
    records = as_logged(DOMAIN, [foreign, moved, OPENED, FILLED])

    result = results(DOMAIN, records, "business")["business"]

    assert result.breaches == []
    assert any("fund: no trade" in note for note in result.skipped)
    assert any("main: it has trades, and no portfolio" in note for note in result.skipped)


@pytest.fixture(scope="module")
def traded() -> Traded:
    return trade(1500, multiplicity=2)


def test_the_sample_apps_log_tables_and_memory_break_no_rule(traded: Traded) -> None:
    logged = list(as_logged(DOMAIN, traded.events))
    tables = [record for record in logged if not record.step]
    recording = traded.desk.recording
    memory = [entity for kind in recording.stores for entity in recording.entities(kind)]

    assert breaches(DOMAIN, logged) == {}
    assert breaches(DOMAIN, tables) == {}
    assert breaches(DOMAIN, as_held(DOMAIN, memory)) == {}


def test_an_app_with_a_history_breaks_no_rule(traded: Traded) -> None:
    """What was in memory when the log began is in it as snapshots only."""
    early = trade(700, multiplicity=2)
    recording = early.desk.recording
    snapshots = [
        kind.snapshot(entity) for kind in DOMAIN.kinds for entity in recording.entities(kind.name)
    ]
    later = traded.events[len(early.events) :]

    assert breaches(DOMAIN, as_logged(DOMAIN, [*snapshots, *later])) == {}


def test_in_the_sample_apps_tables_a_lost_trade_unbalances_the_book(traded: Traded) -> None:
    logged = [r for r in as_logged(DOMAIN, traded.events) if not r.step]
    closed = [r for r in logged if getattr(r.entity, "realised_profit", None)]
    lost = closed[len(closed) // 2]

    found = found_in([record for record in logged if record is not lost])

    assert found is not None
    assert found.veto
