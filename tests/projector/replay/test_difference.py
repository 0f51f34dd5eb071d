import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from projector.replay.difference import RowSample, TableDifference, differences
from schemas.domain import Domain, Kind
from schemas.settings import Settings
from schemas.tables import Table
from tests.domains.ledger import ACCOUNT

WIDE = Table(
    "wide", ("region", "number", "price", "doc", "raw", "tags", "at"), ("region", "number")
)
PLAIN = Table("plain", ("change", "total"), ("change",))
DDL = """
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TABLE wide (
    region text COLLATE "C", number bigint, price numeric, doc jsonb, raw json, tags text[],
    at timestamptz, PRIMARY KEY (region, number)
) PARTITION BY RANGE (number);
CREATE TABLE wide_low PARTITION OF wide FOR VALUES FROM (0) TO (3);
CREATE TABLE wide_rest PARTITION OF wide DEFAULT;
CREATE TABLE plain (change colour PRIMARY KEY, total double precision);
"""
AT = datetime.datetime(2026, 11, 26, 18, 30, tzinfo=datetime.UTC)
ROWS = st.dictionaries(
    st.tuples(st.sampled_from(["eu", "us"]), st.integers(0, 5)),
    st.tuples(
        st.sampled_from([None, Decimal("1"), Decimal("2.5")]),
        st.sampled_from([None, '{"a": 1}', '{"a": null}']),
        st.sampled_from([None, '{"b": 1}', '{"b":1}']),
        st.sampled_from([None, [], ["x"], ["x", None]]),
        st.sampled_from([None, AT]),
    ),
)


def domain_of(*tables: Table) -> Domain:
    kind = Kind(
        name="account", entity=ACCOUNT.entity, events=ACCOUNT.events, key=("account",),
        stream=("account",), evolve=ACCOUNT.evolve, project=ACCOUNT.project, rows=ACCOUNT.rows,
        snapshot=ACCOUNT.snapshot, tables=tables,
    )  # fmt: skip
    return Domain("two", (kind,), "")


@pytest.fixture
def pair(database: psycopg.Connection[Any], settings: Settings) -> Iterator[tuple[str, str]]:
    """Two schemas with the same empty tables."""
    names = (f"{settings.projection}_live", f"{settings.projection}_other")
    for name in names:
        database.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        database.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(name)))
        database.execute(DDL.encode())
    yield names
    for name in names:
        database.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))


def fill(conn: psycopg.Connection[Any], schema: str, rows: dict[Any, Any]) -> None:
    name = sql.Identifier(schema, "wide")
    conn.execute(sql.SQL("DELETE FROM {}").format(name))
    with conn.cursor() as cursor:
        cursor.executemany(
            sql.SQL("INSERT INTO {} VALUES (%s, %s, %s, %s, %s, %s, %s)").format(name),
            [(*key, *row) for key, row in rows.items()],
        )


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(before=ROWS, after=ROWS)
def test_every_row_that_differs_is_counted(
    database: psycopg.Connection[Any],
    pair: tuple[str, str],
    before: dict[Any, Any],
    after: dict[Any, Any],
) -> None:
    for schema, rows in zip(pair, (before, after), strict=True):
        fill(database, schema, rows)

    (found,) = differences(database, domain_of(WIDE), *pair, samples=3)

    changed = sorted(key for key in before.keys() & after.keys() if before[key] != after[key])
    inserted, deleted = sorted(after.keys() - before.keys()), sorted(before.keys() - after.keys())
    assert (found.inserted, found.changed, found.deleted) == tuple(
        map(len, (inserted, changed, deleted))
    )
    for name, keys in (("inserted", inserted), ("changed", changed), ("deleted", deleted)):
        samples = [one for one in found.samples if one.change == name]
        assert [one.key for one in samples] == [[key[0], str(key[1])] for key in keys[:3]]
    for one in found.samples:
        if one.change == "changed":
            key = (one.key[0], int(one.key[1]))
            named = [c for c, a, b in zip(WIDE.columns[2:], before[key], after[key], strict=True)
                     if a != b]  # fmt: skip
            assert list(one.before) == list(one.after) == named


def test_samples_show_old_and_new_values_in_words_that_are_short(
    database: psycopg.Connection[Any], pair: tuple[str, str]
) -> None:
    live, other = pair
    fill(database, live, {("eu", 1): (Decimal("1.0"), None, "{}", None, AT),
                          ("eu", 2): (Decimal(1), None, None, None, None)})  # fmt: skip
    fill(database, other, {("eu", 1): (Decimal("1.00"), None, "{}", ["x" * 500], None),
                           ("us", 3): (None, None, None, None, None)})  # fmt: skip
    database.execute("SET timezone TO 'Asia/Tokyo'")

    wide, plain = differences(database, domain_of(WIDE, PLAIN), live, other)

    changed, deleted, inserted = wide.samples
    assert changed == RowSample(
        "changed", ["eu", "1"], {"tags": None, "at": "2026-11-26 18:30:00+00"},
        {"tags": "{" + "x" * 118 + "…", "at": None},
    )  # fmt: skip
    assert (deleted.key, deleted.before["price"], deleted.after) == (["eu", "2"], "1", {})
    assert (inserted.key, inserted.before, inserted.after["price"]) == (["us", "3"], {}, None)
    assert plain == TableDifference("plain")


def test_names_and_types_of_a_domains_own_are_no_trouble(
    database: psycopg.Connection[Any], pair: tuple[str, str]
) -> None:
    live, other = (sql.Identifier(schema, "plain") for schema in pair)
    database.execute(sql.SQL("INSERT INTO {} VALUES ('red', 'NaN'), ('green', 1)").format(live))
    database.execute(sql.SQL("INSERT INTO {} VALUES ('red', 'NaN'), ('green', 2)").format(other))

    (found,) = differences(database, domain_of(PLAIN), *pair)

    assert (found.rows, found.samples) == (
        1, [RowSample("changed", ["green"], {"total": "1"}, {"total": "2"})],
    )  # fmt: skip


def test_tables_and_columns_that_only_one_side_has_are_said(
    database: psycopg.Connection[Any], pair: tuple[str, str]
) -> None:
    live, other = pair
    fill(database, other, {("eu", 1): (Decimal(1), None, None, None, None)})
    fill(database, live, {("eu", 1): (Decimal(2), None, None, None, None)})
    database.execute(sql.SQL("ALTER TABLE {} DROP price").format(sql.Identifier(live, "wide")))
    database.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(live, "plain")))
    database.execute(
        sql.SQL("INSERT INTO {} VALUES ('red', 1)").format(sql.Identifier(other, "plain"))
    )

    wide, plain = differences(database, domain_of(WIDE, PLAIN), live, other)

    assert wide == TableDifference("wide", unlike_columns=["price"])
    assert plain == TableDifference("plain", inserted=1, unlike_columns=["change", "total"])


def test_both_are_seen_at_one_moment_and_the_connection_is_left_as_it_was(
    database: psycopg.Connection[Any], pair: tuple[str, str]
) -> None:
    differences(database, domain_of(WIDE, PLAIN), *pair)

    assert database.isolation_level is None
    assert database.execute("SHOW transaction_isolation").fetchone() == ("read committed",)
    assert database.execute("SHOW transaction_read_only").fetchone() == ("off",)
