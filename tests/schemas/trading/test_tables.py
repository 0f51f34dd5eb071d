"""The trading tables on PostgreSQL: what answers the desk's questions, and what the views say."""

import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec.structs import replace

from compose.stack import Stack
from projector.apply import Applier
from projector.fold import Fold
from projector.months import Months
from schemas.tables import Change, Insert, Table
from schemas.trading import DOMAIN
from schemas.trading.market_data import MARKET_BARS
from schemas.trading.portfolio import PORTFOLIO_POSITIONS, PORTFOLIO_SNAPSHOTS
from schemas.trading.trades import (
    TRADES,
    TradeClosed,
    TradeExecuted,
    TradeOpened,
    TradePartiallyFilled,
    project,
)
from tests.schemas.trading import test_trades
from tests.schemas.trading.histories import EPOCH

PAGE = (Path(__file__).parents[3] / "docs" / "tables.md").read_text(encoding="utf-8")
QUESTIONS = [
    pytest.param(index, question, id=" ".join(title.split()))
    for title, index, question in re.findall(
        r"^([^`\n][^`]*?): `(\w+)`\n\n```sql\n(.*?)\n```", PAGE, re.M | re.S
    )
]
FILLED = """
    INSERT INTO trades
    SELECT
        'T-' || n, 'S-' || n % 50, 'SYM-' || n % 200, 'buy', status, 10, 100, filled, filled * 99,
        99, 1, exit, exit - 99, at, 0, at, 0, closed, 0 * exit::int
    FROM (
        SELECT n, '2026-01-01 00:00+00'::timestamptz + n * interval '6 minutes' AS at,
            CASE WHEN n % 100 < 97 THEN 'closed' WHEN n % 100 = 97 THEN 'executed' ELSE 'open' END
            AS status, CASE WHEN n % 100 < 98 THEN 10 ELSE 0 END AS filled,
            CASE WHEN n % 100 < 97 THEN 100 END AS exit,
            CASE WHEN n % 100 < 97 THEN
                '2026-01-01 06:00+00'::timestamptz + n * interval '6 minutes' END AS closed
        FROM generate_series(1, 40000) AS n
    ) AS made;
    INSERT INTO strategy_executions
    SELECT 'E-' || n, 'S-' || n % 50, 'SYM-' || n % 200, at, 0, 'completed', 'hold', 0.5,
        CASE WHEN n % 9 = 0 THEN 'T-' || n END, NULL, at, 0, at, 0
    FROM (
        SELECT n, '2026-01-01 00:00+00'::timestamptz + n * interval '6 minutes' AS at
        FROM generate_series(1, 40000) AS n
    ) AS made;
    INSERT INTO market_bars
    SELECT 'SYM-' || s, at, 0, 10, 12, 9, 11, 100
    FROM generate_series(1, 50) AS s, generate_series(
        '2026-01-01 00:00+00'::timestamptz, '2026-06-30 00:00+00', interval '6 hours') AS at;
    INSERT INTO portfolio_snapshots
    SELECT 'P-' || p, at, 0, 5, 10 FROM generate_series(1, 10) AS p, generate_series(
        '2026-01-01 00:00+00'::timestamptz, '2026-06-30 00:00+00', interval '6 hours') AS at;
    INSERT INTO portfolio_positions
    SELECT portfolio_id, taken_at, 0, 'SYM-' || s, 1, 5, 5
    FROM portfolio_snapshots, generate_series(1, 5) AS s;
"""


def months_of_2026(conn: psycopg.Connection[Any], schema: str) -> None:
    fold = Fold(DOMAIN.tables.values())
    for table in (MARKET_BARS, PORTFOLIO_SNAPSHOTS, PORTFOLIO_POSITIONS):
        for month in range(1, 7):
            at = datetime(2026, month, 1, tzinfo=UTC)
            row = [at if column == table.months else column for column in table.columns]
            fold.add(Insert(table, tuple(row)))
    Months(conn, schema, DOMAIN.tables.values()).require(fold)


@pytest.fixture(scope="module")
def conn(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    """A connection that sees empty trading tables first."""
    endpoints = stack.endpoints()
    assert endpoints is not None
    schema = f"t{secrets.token_hex(5)}"
    with psycopg.connect(endpoints.postgres, autocommit=True) as made:
        made.execute(f"CREATE SCHEMA {schema}; SET search_path TO {schema}; SET TIME ZONE 'UTC'")
        made.execute(DOMAIN.ddl)
        months_of_2026(made, schema)
        yield made
        made.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture(scope="module")
def grown(conn: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The tables with half a year in them."""
    conn.execute(FILLED)
    conn.execute("ANALYZE")
    yield conn
    conn.execute(f"TRUNCATE {', '.join(DOMAIN.tables)}")


def test_the_page_has_the_desks_questions() -> None:
    assert len(QUESTIONS) == 15


@pytest.mark.parametrize(("index", "question"), QUESTIONS)
def test_a_question_of_the_desk_is_answered_by_its_index(
    grown: psycopg.Connection[Any], index: str, question: str
) -> None:
    plan = "\n".join(line for (line,) in grown.execute(f"EXPLAIN {question}").fetchall())

    # A partition's part of an index has the month within its name.
    used = index.replace("_pkey", r"_\d{4}_\d\d_pkey")
    assert re.search(rf"(using|on) {used}\b", plan), plan
    assert "Seq Scan" not in plan


def test_bars_of_a_week_are_looked_for_in_their_month_alone(grown: psycopg.Connection[Any]) -> None:
    (question,) = [p.values[1] for p in QUESTIONS if "2026-03-17" in str(p.values[1])]

    plan = "\n".join(line for (line,) in grown.execute(f"EXPLAIN {question}").fetchall())

    assert set(re.findall(r"market_bars_(\d{4}_\d\d)_pkey", plan)) == {"2026_03"}


def test_every_index_serves_a_question(conn: psycopg.Connection[Any]) -> None:
    made = set(re.findall(r"^CREATE (?:UNIQUE )?INDEX (\w+)", DOMAIN.ddl, re.M))

    assert made == {str(p.values[0]) for p in QUESTIONS if "_pkey" not in str(p.values[0])}


def test_every_table_view_and_column_says_what_it_is(conn: psycopg.Connection[Any]) -> None:
    silent = conn.execute("""
        SELECT c.relname, a.attname FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v')
            AND NOT c.relispartition
            AND (col_description(c.oid, a.attnum) IS NULL OR obj_description(c.oid) IS NULL)
    """).fetchall()

    assert silent == []


@pytest.mark.parametrize("table", DOMAIN.tables.values(), ids=lambda table: table.name)
def test_the_page_describes_every_column(table: Any) -> None:
    described = PAGE.partition(f"\n`{table.name}`: ")[2].partition("\n\n`")[0]

    assert [name for name in table.columns if f"`{name}`" not in described] == []


def apply(conn: psycopg.Connection[Any], table: Table, changes: Iterable[Change]) -> None:
    """Empty a table, and bring changes to it as a projector does."""
    (schema,) = conn.execute("SELECT current_schema()").fetchone() or ("",)
    conn.execute(f"TRUNCATE {table.name}")
    fold = Fold([table])
    for change in changes:
        fold.add(change)
    with conn.transaction():
        Applier(conn, schema, [table]).apply(fold)


@given(histories=st.lists(test_trades.histories(), max_size=6))
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_positions_and_profits_are_what_the_trades_come_to(
    conn: psycopg.Connection[Any], histories: list[list[Any]]
) -> None:
    trades: dict[str, list[Any]] = defaultdict(list)
    for number, history in enumerate(histories):
        for event in history:
            own = replace(event, trade_id=f"{number}-{event.trade_id}")
            if isinstance(own, TradeOpened):
                own = replace(own, strategy_id=f"S-{number % 2}", symbol=f"SYM-{number % 3}")
            trades[own.trade_id].append(own)

    apply(conn, TRADES, (c for events in trades.values() for e in events for c in project(e)))

    positions = conn.execute("SELECT symbol, quantity, value, trades FROM open_positions")
    assert {row[0]: row[1:] for row in positions} == positions_of(trades.values())
    profits = conn.execute(
        "SELECT strategy_id, day, realised_profit, fees, trades FROM profit_by_strategy_and_day"
    )
    assert {row[:2]: row[2:] for row in profits} == profits_of(trades.values())


def positions_of(trades: Iterable[list[Any]]) -> dict[str, tuple[Decimal, ...]]:
    """What is held by symbol, added up from the fills alone."""
    held: dict[str, tuple[Decimal, ...]] = {}
    for opened, *events in trades:
        sign = 1 if opened.side == "buy" else -1
        quantity, value, _ = filled(events)
        if quantity and not isinstance(events[-1], TradeClosed):
            before = held.get(opened.symbol, (Decimal(0), Decimal(0), Decimal(0)))
            added = (sign * quantity, sign * value, Decimal(1))
            held[opened.symbol] = plus(before, added)
    return held


def profits_of(trades: Iterable[list[Any]]) -> dict[tuple[str, date], tuple[Decimal, ...]]:
    """Profit, fees and number by strategy and day, added up from fills and exits alone."""
    brought: dict[tuple[str, date], tuple[Decimal, ...]] = {}
    for opened, *events in trades:
        if not events or not isinstance(events[-1], TradeClosed):
            continue
        exit_ = events[-1]
        quantity, value, fees = filled(events)
        fees += exit_.exit_fee
        gain = exit_.exit_price * quantity - value
        profit = (gain if opened.side == "buy" else -gain) - fees
        day = (opened.strategy_id, (EPOCH + timedelta(microseconds=exit_.at_ns // 1000)).date())
        before = brought.get(day, (Decimal(0), Decimal(0), Decimal(0)))
        brought[day] = plus(before, (profit, fees, Decimal(1)))
    return brought


def plus(left: tuple[Decimal, ...], right: tuple[Decimal, ...]) -> tuple[Decimal, ...]:
    return tuple(one + other for one, other in zip(left, right, strict=True))


def filled(events: list[Any]) -> tuple[Decimal, Decimal, Decimal]:
    fills = [e for e in events if isinstance(e, TradePartiallyFilled | TradeExecuted)]
    return (
        sum((e.fill_quantity for e in fills), Decimal(0)),
        sum((e.fill_quantity * e.fill_price for e in fills), Decimal(0)),
        sum((e.fill_fee for e in fills), Decimal(0)),
    )


times = st.datetimes(datetime(2026, 1, 1), datetime(2026, 7, 30), timezones=st.just(UTC))  # noqa: DTZ001


@given(bars=st.dictionaries(st.tuples(st.sampled_from("ABC"), times), st.integers(1, 9)))
@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_latest_quote_of_a_symbol_is_its_newest_bar_in_whatever_month(
    conn: psycopg.Connection[Any], bars: dict[tuple[str, datetime], int]
) -> None:
    rows = [(symbol, at, 0, p, p, p, p, 7) for (symbol, at), p in bars.items()]

    apply(conn, MARKET_BARS, (Insert(MARKET_BARS, row) for row in rows))

    found = conn.execute("SELECT symbol, opened_at, close, volume FROM latest_quotes").fetchall()
    newest = {symbol: at for symbol, at in sorted(bars)}
    assert sorted(found) == [(s, at, bars[s, at], 7) for s, at in sorted(newest.items())]
