"""Batches into a table by month, against one change at a time."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from projector.apply import FEW_ROWS, Applier
from projector.fold import Fold
from schemas.settings import Settings
from schemas.tables import Change, Delete, Insert, Patch, Table, Upsert
from tests.projector.histories import THINGS, Rows, apply_one, cut, histories

DATED = Table("dated", ("name", "at", "text", "amount"), ("name", "at"), months="at")


@pytest.fixture
def schema(settings: Settings, database: psycopg.Connection[Any]) -> Iterator[str]:
    name = settings.projection
    database.execute(f"""
        CREATE SCHEMA {name};
        CREATE TABLE {name}.dated (
            name text, at timestamptz, text text NOT NULL, amount numeric, PRIMARY KEY (name, at)
        ) PARTITION BY RANGE (at);
        """)
    yield name
    database.execute(f"DROP SCHEMA {name} CASCADE")


def in_month(number: int) -> datetime:
    return datetime(2026, number, 15, tzinfo=UTC)


def dated(change: Change) -> Change:
    """The same change of the table by month."""
    if isinstance(change, Insert | Upsert):
        name, number, text, amount = change.row
        return type(change)(DATED, (name, in_month(number), text, amount))
    key = (change.key[0], in_month(change.key[1]))
    return Delete(DATED, key) if isinstance(change, Delete) else Patch(DATED, key, change.changes)


@pytest.mark.parametrize("few_rows", [0, FEW_ROWS], ids=["staged", "as a parameter"])
@given(history=histories(), data=st.data())
@hypothesis_settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_batches_cut_anywhere_give_a_table_by_month_what_one_change_at_a_time_gives(
    database: psycopg.Connection[Any],
    schema: str,
    few_rows: int,
    history: tuple[Rows, list[Change]],
    data: st.DataObject,
) -> None:
    start, changes = history
    expected = start
    for change in changes:
        expected = apply_one(expected, change)
    database.execute(f"TRUNCATE {schema}.dated")
    applier = Applier(database, schema, [DATED], few_rows=few_rows)
    first: list[Change] = [Insert(THINGS, row) for row in start.values()]

    for batch in [first, *data.draw(cut(changes))]:
        fold = Fold([DATED])
        for change in batch:
            fold.add(dated(change))
        with database.transaction():
            applier.apply(fold)

    found = database.execute(f"SELECT name, at, text, amount FROM {schema}.dated").fetchall()
    assert sorted(found) == sorted(
        (name, in_month(number), text, amount) for name, number, text, amount in expected.values()
    )
