import re

import pytest

from schemas.tables import Table
from schemas.trading import DOMAIN

EVENT_TYPES = [
    "trading.execution.completed.v1",
    "trading.execution.failed.v1",
    "trading.execution.signalled.v1",
    "trading.execution.snapshotted.v1",
    "trading.execution.started.v1",
    "trading.market_data.bar_received.v1",
    "trading.market_data.snapshotted.v1",
    "trading.portfolio.snapshotted.v1",
    "trading.portfolio.taken.v1",
    "trading.strategy.parameters_changed.v1",
    "trading.strategy.paused.v1",
    "trading.strategy.registered.v1",
    "trading.strategy.removed.v1",
    "trading.strategy.snapshotted.v1",
    "trading.strategy.started.v1",
    "trading.strategy.stopped.v1",
    "trading.trade.cancelled.v1",
    "trading.trade.closed.v1",
    "trading.trade.executed.v1",
    "trading.trade.opened.v1",
    "trading.trade.partially_filled.v1",
    "trading.trade.snapshotted.v1",
]


def test_event_types_are_what_the_logs_out_there_hold() -> None:
    assert sorted(DOMAIN.by_type) == EVENT_TYPES


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_an_event_type_names_its_kind(name: str) -> None:
    kind, _ = DOMAIN.by_type[name]

    assert name.split(".")[1] == kind.name


@pytest.mark.parametrize("table", DOMAIN.tables.values(), ids=lambda table: table.name)
def test_the_ddl_declares_the_columns_of_every_table_in_their_order(table: Table) -> None:
    body = re.search(rf"^CREATE TABLE {table.name} \(\n(.*?)^\)", DOMAIN.ddl, re.M | re.S)

    assert body
    assert tuple(re.findall(r"^    ([a-z_]+) ", body[1], re.M)) == table.columns


@pytest.mark.parametrize("table", DOMAIN.tables.values(), ids=lambda table: table.name)
def test_the_ddl_declares_the_key_of_every_table(table: Table) -> None:
    body = re.search(rf"^CREATE TABLE {table.name} \(\n(.*?)^\)", DOMAIN.ddl, re.M | re.S)

    assert body
    one = re.findall(r"^    (\w+) .* PRIMARY KEY,$", body[1], re.M)
    several = re.findall(r"PRIMARY KEY \((.*)\)", body[1])
    assert ", ".join(one + several) == ", ".join(table.key)


def test_the_ddl_leaves_the_schema_to_the_search_path() -> None:
    assert not re.search(r"CREATE (TABLE|VIEW) \w+\.", DOMAIN.ddl)


@pytest.mark.parametrize("table", DOMAIN.tables.values(), ids=lambda table: table.name)
def test_the_ddl_partitions_the_tables_that_grow_by_month_and_no_other(table: Table) -> None:
    found = re.search(
        rf"^CREATE TABLE {table.name} \(\n.*?^\)(?: PARTITION BY RANGE \((\w+)\))?;",
        DOMAIN.ddl,
        re.M | re.S,
    )

    assert found
    assert found[1] == table.months
    assert (table.months is not None) == table.windowed
