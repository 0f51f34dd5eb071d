from typing import Any

import psycopg
import pytest

from projector.replay.difference import TableDifference
from projector.replay.plan import Plan
from projector.replay.savepoint_diff import diff
from projector.replay.savepoint_drop import drop
from projector.replay.savepoints import Savepoint, take
from projector.replay.target import SavepointUnknown
from schemas.position import format_offsets
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App
from tests.projector.broker import Broker
from tests.projector.projecting import project


async def two(
    app: App, broker: Broker, settings: Settings, conn: psycopg.Connection[Any], keep: bool
) -> tuple[Savepoint, Savepoint]:
    """Between two savepoints an account was opened, two deposits made, and two accounts ended."""
    kept = DOMAIN if keep else None
    first = await take(conn, settings, settings.projection, "first", keep=kept)
    count = len(app.rows())
    app.open("late")
    app.deposit("late", 5)
    app.deposit("acc-1", 7)
    app.end("acc-2")
    app.end("acc-3")
    broker.publish(settings, app.rows()[count:])
    await project(settings)
    return first, await take(conn, settings, settings.projection, "second", keep=kept)


def counts(tables: list[TableDifference] | None) -> dict[str, tuple[int, int, int]]:
    return {one.table: (one.inserted, one.changed, one.deleted) for one in tables or ()}


def kinds(found: Plan) -> dict[str, int]:
    return {one.type: one.events for one in found.discarded.kinds}


async def test_events_between_are_counted_by_kind_and_rows_where_both_keep_tables(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    first, second = await two(projected, broker, settings, database, keep=True)

    found = await diff(database, settings, DOMAIN, "first", "second")
    turned = await diff(database, settings, DOMAIN, "second", "first")
    to_now = await diff(database, settings, DOMAIN, "first", "now")

    assert found.target == "from savepoint second back to savepoint first"
    assert (found.before, found.position) == (
        format_offsets(second.offsets), format_offsets(first.offsets)
    )  # fmt: skip
    assert kinds(found) == {
        "ledger.account.opened.v1": 1,
        "ledger.account.deposited.v1": 2,
        "ledger.account.closed.v1": 2,
    }
    assert found.discarded.streams == 4
    assert counts(found.tables) == {"accounts": (2, 1, 1), "readings": (0, 0, 0)}
    assert (turned.target, counts(turned.tables)) == (found.target, counts(found.tables))
    assert counts(to_now.tables) == counts(found.tables)
    assert to_now.target == "from now back to savepoint first"
    for name in ("first", "second"):
        await drop(database, settings, settings.projection, name)


async def test_without_kept_tables_events_alone_are_counted(
    projected: App, broker: Broker, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    await two(projected, broker, settings, database, keep=False)

    found = await diff(database, settings, DOMAIN, "first", "now")

    assert found.events == 5
    assert found.tables is None
    with pytest.raises(SavepointUnknown) as unknown:
        await diff(database, settings, DOMAIN, "first", "third")
    assert unknown.value.remedy == "savepoints: first, second"
