"""Legal sequences of changes to one table, and what they do, one at a time."""

from collections.abc import Iterable
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeAlias

from hypothesis import strategies as st

from schemas.tables import Change, Delete, Insert, Key, Patch, Row, Table, Upsert

THINGS = Table("things", ("name", "number", "text", "amount"), ("name", "number"))
Rows: TypeAlias = dict[Key, Row]

_keys = st.tuples(st.sampled_from(["a", "b", "ä\t"]), st.sampled_from([1, 2]))
_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5)
_amounts = st.none() | st.decimals(-100, 100, places=2)


def apply_one(rows: Rows, change: Change) -> Rows:
    """What one change does to a table; the change must be legal."""
    rows = dict(rows)
    match change:
        case Insert():
            assert THINGS.key_of(change.row) not in rows
            rows[THINGS.key_of(change.row)] = change.row
        case Upsert():
            rows[THINGS.key_of(change.row)] = change.row
        case Patch():
            present = dict(zip(THINGS.columns, rows[change.key], strict=True))
            rows[change.key] = tuple((present | change.changes).values())
        case Delete():
            del rows[change.key]
    return rows


@st.composite
def histories(draw: st.DrawFn) -> tuple[Rows, list[Change]]:
    """Return what a table holds at first and a sequence of changes that is legal from there."""
    rows: Rows = {
        key: (*key, draw(_texts), draw(_amounts)) for key in draw(st.sets(_keys, max_size=3))
    }
    start, changes = dict(rows), list[Change]()
    for _ in range(draw(st.integers(0, 25))):
        key = draw(_keys)
        row: Row = (*key, draw(_texts), draw(_amounts))
        if key in rows:
            values: dict[str, Any] = draw(
                st.sampled_from(
                    [{"text": row[2]}, {"amount": row[3]}, {"amount": row[3], "text": row[2]}]
                )
            )
            legal: list[Change] = [Upsert(THINGS, row), Patch(THINGS, key, values)]
            legal.append(Delete(THINGS, key))
        else:
            legal = [Insert(THINGS, row), Upsert(THINGS, row)]
        change = draw(st.sampled_from(legal))
        changes.append(change)
        rows = apply_one(rows, change)
    return start, changes


class NotLegal(Exception):
    """A change does not fit the row's state."""


RULES = "CHECK (text <> 'forbidden'), CHECK (text <> 'unpriced' OR amount IS NULL)"
"""What the table demands of a row, and that its text is there."""


def apply_any(rows: Rows, change: Change) -> Rows:
    """What one change does to a table; raises NotLegal where the table does not take it."""
    key = THINGS.key_of(change.row) if isinstance(change, Insert | Upsert) else change.key
    wanted = {Insert: False, Patch: True, Delete: True}.get(type(change))
    if wanted is not None and wanted != (key in rows):
        raise NotLegal
    changed = apply_one(rows, change)
    require_rules(changed.values())
    return changed


def require_rules(rows: Iterable[Row]) -> None:
    """Raise NotLegal where a row breaks one of `RULES`."""
    for _, _, text, amount in rows:
        if text in (None, "forbidden") or (text == "unpriced" and amount is not None):
            raise NotLegal


@st.composite
def wild_histories(draw: st.DrawFn) -> tuple[Rows, list[Change]]:
    """Return what a table holds at first and changes of two rows, legal or not."""
    keys = st.sampled_from([("a", 1), ("b", 1)])
    texts = st.sampled_from(["x", "ä", "unpriced", "forbidden", None])
    amounts = st.sampled_from([None, Decimal(1)])
    start: Rows = {key: (*key, "x", draw(amounts)) for key in draw(st.sets(keys))}
    made = st.builds(
        lambda kind, key, text, amount: kind(THINGS, (*key, text, amount)),
        st.sampled_from([Insert, Upsert]), keys, texts, amounts,
    )  # fmt: skip
    values: st.SearchStrategy[dict[str, Any]] = st.builds(dict, text=texts) | st.builds(
        dict, amount=amounts
    )
    patched = st.builds(lambda key, changed: Patch(THINGS, key, changed), keys, values)
    ended = st.builds(lambda key: Delete(THINGS, key), keys)
    return start, draw(st.lists(made | patched | ended, max_size=5))


@st.composite
def cut(draw: st.DrawFn, changes: list[Change]) -> list[list[Change]]:
    """Return the same changes in batches, cut anywhere."""
    places = sorted(draw(st.sets(st.integers(0, len(changes)), max_size=6)))
    bounds = [0, *places, len(changes)]
    return [changes[a:b] for a, b in pairwise(bounds)]
