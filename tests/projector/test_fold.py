from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.fold import ChangeRefused, Fold, Op
from schemas.tables import Change, Delete, Insert, Key, Patch, Row, Table, Upsert
from tests.projector.histories import (
    THINGS,
    NotLegal,
    Rows,
    apply_any,
    apply_one,
    cut,
    histories,
    require_rules,
    wild_histories,
)


def _apply_fold(rows: Rows, fold: Fold) -> Rows:
    """What the apply statements do, with the same refusals."""
    rows = dict(rows)
    for table in fold.tables.values():
        for key, (op, content) in table.passed:
            if op is Op.PASSED:
                require_rules([content])
            elif key in rows:
                present = dict(zip(THINGS.columns, rows[key], strict=True))
                require_rules([tuple((present | content).values())])
        for key, (op, content) in table.changes.items():
            if op in {Op.INSERT, Op.VANISH} and key in rows:
                raise NotLegal
            if op in {Op.PATCH, Op.DELETE, Op.REPLACE} and key not in rows:
                raise NotLegal
            if op in {Op.INSERT, Op.UPSERT, Op.REPLACE}:
                rows[key] = content
            elif op is Op.PATCH:
                present = dict(zip(THINGS.columns, rows[key], strict=True))
                rows[key] = tuple((present | content).values())
            else:
                rows.pop(key, None)
        require_rules(rows.values())
    return rows


def _fold(changes: Sequence[Change]) -> Fold:
    fold = Fold([THINGS])
    for change in changes:
        fold.add(change)
    return fold


@given(history=histories(), data=st.data())
def test_any_cut_of_a_legal_sequence_gives_the_table_of_one_change_at_a_time(
    history: tuple[Rows, list[Change]], data: st.DataObject
) -> None:
    rows, changes = history
    expected = rows
    for change in changes:
        expected = apply_one(expected, change)

    for batch in data.draw(cut(changes)):
        rows = _apply_fold(rows, _fold(batch))

    assert rows == expected


@given(history=wild_histories())
def test_a_batch_is_refused_exactly_where_one_change_at_a_time_is(
    history: tuple[Rows, list[Change]],
) -> None:
    rows, changes = history
    expected: Rows | None = rows
    try:
        for change in changes:
            assert expected is not None
            expected = apply_any(expected, change)
    except NotLegal:
        expected = None

    found: Rows | None
    try:
        found = _apply_fold(rows, _fold(changes))
    except (NotLegal, ChangeRefused):
        found = None

    assert found == expected


@given(history=histories())
def test_a_batch_changes_each_row_at_most_once(history: tuple[Rows, list[Change]]) -> None:
    _, changes = history

    fold = _fold(changes)

    touched = {
        (c.table.key_of(c.row) if isinstance(c, Insert | Upsert) else c.key) for c in changes
    }
    assert set(fold.tables["things"].changes) <= touched


ROW: Row = ("a", 1, "x", None)
KEY: Key = ("a", 1)
insert, upsert = Insert(THINGS, ROW), Upsert(THINGS, ROW)
patch, delete = Patch(THINGS, KEY, {"text": "y"}), Delete(THINGS, KEY)


@pytest.mark.parametrize(
    ("before", "illegal"),
    [
        ([insert], insert),
        ([upsert], insert),
        ([patch], insert),
        ([insert, patch], insert),
        ([delete, insert], insert),
        ([delete], patch),
        ([patch, delete], patch),
        ([upsert, delete], patch),
        ([delete], delete),
        ([patch, delete], delete),
        ([upsert, delete], delete),
    ],
    ids=lambda value: "+".join(type(c).__name__ for c in value) if isinstance(value, list) else "",
)
def test_a_change_that_contradicts_the_ones_before_it_is_refused_by_table_and_key(
    before: list[Change], illegal: Change
) -> None:
    fold = _fold(before)

    with pytest.raises(ChangeRefused) as refused:
        fold.add(illegal)

    assert refused.value.table == "things"
    assert refused.value.key == KEY
    assert refused.value.where == "table things, key a/1"


@pytest.mark.parametrize(
    ("changes", "net"),
    [
        ([insert, patch], (Op.INSERT, ("a", 1, "y", None))),
        ([insert, upsert], (Op.INSERT, ROW)),
        ([upsert, patch], (Op.UPSERT, ("a", 1, "y", None))),
        ([patch, Patch(THINGS, KEY, {"amount": None})], (Op.PATCH, {"text": "y", "amount": None})),
        ([patch, upsert], (Op.REPLACE, ROW)),
        ([patch, upsert, patch], (Op.REPLACE, ("a", 1, "y", None))),
        ([patch, delete], (Op.DELETE, None)),
        ([upsert, delete], (Op.DISCARD, None)),
        ([upsert, delete, insert], (Op.UPSERT, ROW)),
        ([delete, insert], (Op.REPLACE, ROW)),
        ([delete, insert, delete], (Op.DELETE, None)),
        ([insert, delete], (Op.VANISH, None)),
        ([insert, delete, insert], (Op.INSERT, ROW)),
    ],
)
def test_a_row_has_one_net_change(changes: list[Change], net: tuple[Op, Any]) -> None:
    fold = _fold(changes)

    assert fold.tables["things"].changes == {KEY: net}


def test_the_net_change_of_one_row_leaves_other_rows_and_tables_alone() -> None:
    other = Table("other", ("id",), ("id",))
    fold = Fold([THINGS, other])

    fold.add(insert)
    fold.add(Insert(THINGS, ("b", 1, "x", None)))
    fold.add(Upsert(other, ("a",)))
    fold.add(patch)

    assert fold.tables["things"].changes == {
        KEY: (Op.INSERT, ("a", 1, "y", None)),
        ("b", 1): (Op.INSERT, ("b", 1, "x", None)),
    }
    assert fold.tables["other"].changes == {("a",): (Op.UPSERT, ("a",))}
