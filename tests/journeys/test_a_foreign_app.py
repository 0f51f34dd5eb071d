"""basana, a trading app by others, adopts the shim: its memory ends in PostgreSQL as it is."""

import asyncio
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import basana
import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row

import eventlog
from projector.audit.run import audit
from projector.declared import whole_domain
from schemas.domain import load_domain
from schemas.settings import Settings
from tests.journeys.foreign import adopted
from tests.journeys.foreign.backtest import Backtest
from tests.projector.projecting import projecting

DAYS = 250
DEADLINE_S = 60.0


def rows(settings: Settings, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(settings.postgres.dsn, row_factory=dict_row) as conn:
        statement = sql.SQL("SELECT * FROM {} ORDER BY 1")
        return conn.execute(statement.format(sql.Identifier(settings.projection, table))).fetchall()


def expected(entities: Any) -> list[dict[str, Any]]:
    """Return entities as rows, lists as JSON has them; by msgspec alone."""
    found = []
    for entity in entities:
        fields = msgspec.structs.asdict(entity)
        for name, value in fields.items():
            if isinstance(value, list):
                fields[name] = msgspec.to_builtins(value)
        found.append(fields)
    return sorted(found, key=lambda row: str(next(iter(row.values()))))


async def test_orders_balances_and_positions_end_in_postgresql(
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings(domain="")
    ferry = await asyncio.to_thread(eventlog.attach, settings)
    backtest = Backtest()
    backtest.feed(DAYS)
    adopted.adopt(ferry, backtest.exchange)

    await backtest.run()

    await ferry.until_flushed(DEADLINE_S)
    domain = await whole_domain(settings, load_domain(""))
    async with projecting(settings, load_domain("")):
        await asyncio.to_thread(
            ferry.applied_through, ferry.recorded_position(), range(3), DEADLINE_S
        )
        found = await audit(settings, domain, with_memory=True, timeout_s=DEADLINE_S)
    exchange = backtest.exchange
    orders = [adopted.order_state(order) for order in exchange._order_mgr.get_all_orders()]
    assert {order.state for order in orders} == {"COMPLETED", "CANCELED"}
    assert rows(settings, "orders") == expected(orders)
    assert rows(settings, "balances") == expected(adopted.balances_of(exchange).values())
    assert rows(settings, "positions") == expected(adopted.positions_of(exchange).values())
    assert len(rows(settings, "positions")) == 4
    assert not found.findings
    await asyncio.to_thread(ferry.close, DEADLINE_S)


def test_no_line_of_the_app_was_changed() -> None:
    """What adoption costs is the function `adopt`; the app is the package as it was published."""
    lines = inspect.getsource(adopted.adopt).splitlines()[2:]

    assert len(lines) <= 12
    assert "memferry" not in (Path(basana.__file__).parent / "__init__.py").read_text("utf-8")
    assert Path(basana.__file__).is_relative_to(Path(sys.prefix))
