"""What the benchmarks carry: the same at every run, in the shares that their figures name."""

from collections import Counter
from itertools import islice

from schemas.trading import DOMAIN
from schemas.trading.trades import TRADES, TradePartiallyFilled
from tests.benchmarks.peers.twin import rows, schema
from tests.benchmarks.staged import batches_of
from tests.benchmarks.workload import mixed_events, trade_events


def test_trades_are_the_same_at_every_run_and_one_in_ten_is_an_update() -> None:
    first, second = list(trade_events(1_000)), list(trade_events(1_000))

    assert first == second
    assert sum(isinstance(event, TradePartiallyFilled) for event in first[100:]) == 90


def test_parts_of_a_long_run_have_trades_of_their_own() -> None:
    keys = [{e.trade_id for e in trade_events(1_000, first)} for first in (0, 1_000)]  # type: ignore[attr-defined]

    assert not keys[0] & keys[1]


def test_a_hundred_mixed_events_have_each_kind_in_its_share() -> None:
    events = list(islice(mixed_events(1_000), 100, 200))

    assert Counter(DOMAIN.kind_of[type(event)].name for event in events) == {
        "market_data": 40, "trade": 30, "execution": 24, "portfolio": 4, "strategy": 2,
    }  # fmt: skip


def test_the_limit_writes_a_row_once_a_batch_however_many_events_touch_it() -> None:
    batches = list(batches_of(DOMAIN, trade_events(1_000), 100))

    assert [batch.events for batch in batches] == [100] * 10
    for batch in batches:
        ((name, text),) = batch.tables
        assert name == TRADES.name
        # Ten fills, of which those of the batch before are not among its ninety trades.
        assert 90 <= text.count(b"\n") < 100


def test_the_twin_has_the_whole_row_behind_each_event_and_every_column() -> None:
    events = list(trade_events(100))

    trades = list(rows(events))

    assert len(trades) == len(events)
    filled = next(
        t for e, t in zip(events, trades, strict=True) if isinstance(e, TradePartiallyFilled)
    )
    assert (filled.status, filled.symbol != "") == ("partially_filled", True)
    assert [field["field"] for field in schema()["fields"]] == list(TRADES.columns)
