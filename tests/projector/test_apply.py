from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from projector.apply import FEW_ROWS, Applier
from projector.fold import ChangeRefused, Fold
from schemas.tables import Change, Delete, Insert, Patch, Row, Table, Upsert
from tests.projector.histories import (
    RULES,
    THINGS,
    NotLegal,
    Rows,
    apply_any,
    apply_one,
    cut,
    histories,
    wild_histories,
)

TAGS = Table("tags", ("name", "tag"), ("name", "tag"))
SEATS = Table("seats", ("guest", "seat"), ("guest",))


@pytest.fixture
def schema(database: psycopg.Connection[Any]) -> Iterator[str]:
    database.execute(f"""
        CREATE SCHEMA applied;
        CREATE TABLE applied.things (
            name text, number int, text text NOT NULL, amount numeric, PRIMARY KEY (name, number),
            {RULES}
        );
        CREATE TABLE applied.tags (name text, tag text, PRIMARY KEY (name, tag));
        CREATE TABLE applied.seats (guest text PRIMARY KEY, seat int UNIQUE);
        """)
    yield "applied"
    database.execute("DROP SCHEMA applied CASCADE")


@pytest.fixture(params=[0, FEW_ROWS], ids=["staged", "few"])
def applier(
    request: pytest.FixtureRequest, database: psycopg.Connection[Any], schema: str
) -> Applier:
    return Applier(database, schema, [THINGS, TAGS, SEATS], few_rows=request.param)


def apply(conn: psycopg.Connection[Any], applier: Applier, changes: Sequence[Change]) -> int:
    fold = Fold([THINGS, TAGS, SEATS])
    for change in changes:
        fold.add(change)
    with conn.transaction():
        return applier.apply(fold)


def rows(conn: psycopg.Connection[Any], table: Table = THINGS) -> Rows:
    found = conn.execute(f"SELECT * FROM applied.{table.name}").fetchall()
    return {table.key_of(row): row for row in found}


@given(history=histories(), data=st.data())
@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_batches_cut_anywhere_give_the_table_of_one_change_at_a_time(
    database: psycopg.Connection[Any],
    applier: Applier,
    history: tuple[Rows, list[Change]],
    data: st.DataObject,
) -> None:
    start, changes = history
    expected = start
    for change in changes:
        expected = apply_one(expected, change)
    database.execute("TRUNCATE applied.things")
    apply(database, applier, [Insert(THINGS, row) for row in start.values()])

    for batch in data.draw(cut(changes)):
        apply(database, applier, batch)

    assert rows(database) == expected


@given(history=wild_histories())
@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_tables_refuse_a_batch_exactly_where_they_refuse_one_change_at_a_time(
    database: psycopg.Connection[Any], applier: Applier, history: tuple[Rows, list[Change]]
) -> None:
    start, changes = history
    expected, legal = start, True
    try:
        for change in changes:
            expected = apply_any(expected, change)
    except NotLegal:
        expected, legal = start, False
    database.execute("TRUNCATE applied.things")
    apply(database, applier, [Insert(THINGS, row) for row in start.values()])

    try:
        apply(database, applier, changes)
    except (ChangeRefused, psycopg.IntegrityError):
        assert not legal
    else:
        assert legal

    assert rows(database) == expected


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ([Insert(THINGS, ("b", 1, "forbidden", None)), Patch(THINGS, ("b", 1), {"text": "x"})],
         "things_text_check"),
        ([Insert(THINGS, ("b", 1, None, None)), Delete(THINGS, ("b", 1))], "text not null"),
        ([Patch(THINGS, ("a", 1), {"text": "unpriced"}), Patch(THINGS, ("a", 1), {"amount": None})],
         "things_check"),
        ([Patch(THINGS, ("a", 1), {"text": "forbidden"}), Delete(THINGS, ("a", 1))],
         "things_text_check"),
        ([Upsert(THINGS, ("b", 1, "unpriced", 1)), Upsert(THINGS, ("b", 1, "x", 1))],
         "things_check"),
    ],
)  # fmt: skip
def test_a_row_that_breaks_a_rule_between_two_changes_is_refused_as_it_would_be_alone(
    database: psycopg.Connection[Any], applier: Applier, changes: list[Change], rule: str
) -> None:
    apply(database, applier, [Insert(THINGS, ("a", 1, "x", Decimal(2)))])

    with pytest.raises(ChangeRefused, match=f"violates '{rule}'") as refused:
        apply(database, applier, changes)

    assert refused.value.key in {("a", 1), ("b", 1)}
    assert rows(database) == {("a", 1): ("a", 1, "x", Decimal(2))}


def test_a_row_of_nothing_but_its_key_is_deleted_and_inserted_again_only_where_it_was(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    apply(database, applier, [Insert(TAGS, ("a", "new"))])
    again: list[Change] = [Delete(TAGS, ("a", "new")), Insert(TAGS, ("a", "new"))]

    apply(database, applier, again)
    with pytest.raises(ChangeRefused, match="not in the table"):
        apply(database, applier, [Delete(TAGS, ("b", "x")), Insert(TAGS, ("b", "x"))])

    assert set(rows(database, TAGS)) == {("a", "new")}


THING: Row = ("a", 1, "x", Decimal("1.50"))


def test_a_patch_sets_its_columns_only_and_can_set_null(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    apply(database, applier, [Insert(THINGS, THING), Insert(THINGS, ("b", 1, "x", Decimal(2)))])

    touched = apply(
        database,
        applier,
        [Patch(THINGS, ("a", 1), {"amount": None}), Patch(THINGS, ("b", 1), {"text": "y"})],
    )

    assert touched == 2
    assert set(rows(database).values()) == {("a", 1, "x", None), ("b", 1, "y", Decimal(2))}


def test_a_table_of_nothing_but_its_key_takes_the_same_row_again(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    apply(database, applier, [Upsert(TAGS, ("a", "new"))])

    apply(database, applier, [Upsert(TAGS, ("a", "new")), Upsert(TAGS, ("a", "old"))])

    assert set(rows(database, TAGS)) == {("a", "new"), ("a", "old")}


@pytest.mark.parametrize(
    "giving_up", [Delete(SEATS, ("Ada",)), Patch(SEATS, ("Ada",), {"seat": None})]
)
def test_an_insert_may_take_a_unique_value_that_the_same_batch_gives_up(
    database: psycopg.Connection[Any], applier: Applier, giving_up: Change
) -> None:
    apply(database, applier, [Insert(SEATS, ("Ada", 7))])

    apply(database, applier, [giving_up, Insert(SEATS, ("Bob", 7))])

    assert rows(database, SEATS)[("Bob",)] == ("Bob", 7)


@pytest.mark.parametrize(
    "changes",
    [
        [Patch(THINGS, ("gone", 1), {"text": "y"})],
        [Delete(THINGS, ("gone", 1))],
        [Delete(THINGS, ("a", 1)), Patch(THINGS, ("gone", 1), {"text": "y"})],
        [Delete(THINGS, ("a", 1)), Delete(THINGS, ("gone", 1))],
    ],
)
def test_a_change_of_a_row_that_is_not_there_names_table_and_key(
    database: psycopg.Connection[Any], applier: Applier, changes: list[Change]
) -> None:
    apply(database, applier, [Insert(THINGS, THING)])

    with pytest.raises(ChangeRefused) as refused:
        apply(database, applier, changes)

    assert refused.value.where == "table things, key gone/1"
    assert rows(database) == {("a", 1): THING}


def test_a_delete_of_a_missing_row_is_not_made_up_for_by_another_row(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    apply(database, applier, [Insert(THINGS, THING)])
    gone = Delete(THINGS, ("gone", 1))

    with pytest.raises(ChangeRefused, match="not in the table"):
        apply(database, applier, [Upsert(THINGS, THING), Delete(THINGS, ("a", 1)), gone])


@pytest.mark.parametrize("there", [True, False])
def test_a_row_upserted_and_deleted_in_one_batch_is_gone_whether_or_not_it_was_there(
    database: psycopg.Connection[Any], applier: Applier, there: bool
) -> None:
    if there:
        apply(database, applier, [Insert(THINGS, THING)])

    apply(database, applier, [Upsert(THINGS, THING), Delete(THINGS, ("a", 1))])

    assert rows(database) == {}


@pytest.mark.parametrize("value", [{"a": 1}, [1], [{"b": 2}], ()])
@pytest.mark.parametrize("change", [Insert, Upsert])
def test_a_value_that_is_no_scalar_is_refused_where_the_column_is_no_document(
    database: psycopg.Connection[Any], applier: Applier, change: type[Insert | Upsert], value: Any
) -> None:
    sound = change(THINGS, ("b", 1, ",{[", None))

    with pytest.raises(ChangeRefused, match="column 3, no document") as refused:
        apply(database, applier, [sound, change(THINGS, ("a", 1, value, None))])
    apply(database, applier, [sound])

    assert refused.value.where == "table things, key a/1"
    assert rows(database) == {("b", 1): ("b", 1, ",{[", None)}


def test_a_row_inserted_and_deleted_in_one_batch_must_not_have_been_there(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    gone: list[Change] = [Insert(THINGS, THING), Delete(THINGS, ("a", 1))]
    apply(database, applier, gone)
    apply(database, applier, [Insert(THINGS, THING)])

    with pytest.raises(ChangeRefused, match="inserted that is there already") as refused:
        apply(database, applier, gone)

    assert refused.value.where == "table things, key a/1"
    assert rows(database) == {("a", 1): THING}


def test_an_insert_of_what_is_there_is_refused_by_the_table(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    apply(database, applier, [Insert(THINGS, THING)])

    with pytest.raises(psycopg.errors.UniqueViolation):
        apply(database, applier, [Insert(THINGS, ("a", 1, "other", None))])

    assert rows(database) == {("a", 1): THING}


@pytest.mark.parametrize("value", [object(), "\ud800", 1j], ids=["object", "surrogate", "complex"])
def test_a_value_that_no_column_takes_is_refused(
    database: psycopg.Connection[Any], applier: Applier, value: object
) -> None:
    with pytest.raises(ChangeRefused, match="cannot be stored") as refused:
        apply(database, applier, [Insert(THINGS, THING), Insert(THINGS, ("b", 1, value, None))])

    assert refused.value.where == "table things, key b/1"
    assert rows(database) == {}


def test_a_refused_batch_leaves_nothing_staged_for_the_next(
    database: psycopg.Connection[Any], applier: Applier
) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        apply(database, applier, [Insert(THINGS, THING), Insert(THINGS, ("b", 1, None, None))])

    apply(database, applier, [Insert(THINGS, ("c", 1, "x", None))])

    assert set(rows(database)) == {("c", 1)}
