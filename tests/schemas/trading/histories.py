"""What every kind must keep over every legal history, and the values histories are made of."""

from collections.abc import Hashable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.domain import Kind
from schemas.tables import Change, Delete, Insert, Key, Patch, Row, Table, Upsert
from schemas.trading import DOMAIN
from schemas.validity import Validator

Rows = dict[tuple[str, Key], Row]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALIDATORS = {event: Validator(event) for event in DOMAIN.type_of}

identifiers = st.sampled_from(["A", "B-2", "c/3", "~"])
amounts = st.decimals("0.0001", "1000000", places=4)
fees = st.decimals("0", "100", places=6)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
parameters = st.dictionaries(st.sampled_from(["window", "every", "size"]), texts)


class Clock:
    """Gives times that never fall, as the app's own do."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._now_ns = draw(st.integers(0, 2 * 10**18))

    def tick(self, least_ns: int = 0) -> tuple[datetime, int]:
        self._now_ns += self._draw(st.integers(least_ns, 10**12))
        return time_of(self._now_ns), self._now_ns


def time_of(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)


def apply(rows: Rows, changes: Iterable[Change]) -> None:
    """Do to rows what a table would do; a change that a table would refuse is an error."""
    for change in changes:
        table = change.table
        if isinstance(change, Insert | Upsert):
            place = (table.name, table.key_of(change.row))
            assert len(change.row) == len(table.columns)
            assert isinstance(change, Upsert) or place not in rows
            rows[place] = change.row
            continue
        place = (table.name, change.key)
        present = rows.pop(place)
        if isinstance(change, Patch):
            assert not set(change.changes) & set(table.key)
            assert set(change.changes) <= set(table.columns)
            rows[place] = tuple(
                change.changes.get(column, value)
                for column, value in zip(table.columns, present, strict=True)
            )
        else:
            assert isinstance(change, Delete)


def as_rows(pairs: Iterable[tuple[Table, Row]]) -> Rows:
    return {(table.name, table.key_of(row)): row for table, row in pairs}


def require_agreement(kind: Kind, history: Iterable[Any]) -> None:
    """Fold a history into entities and into rows, and demand at every step that they agree."""
    entities: dict[Hashable, Any] = {}
    projected: Rows = {}
    key_of = kind.key_getter()
    for event in history:
        key = key_of(event)
        entity = kind.evolve(entities.get(key), event)
        apply(projected, kind.project(event))
        if entity is None:
            del entities[key]
        else:
            assert type(entity) is kind.entity
            assert key_of(entity) == key
            entities[key] = entity
            require_snapshot(kind, entity)
        VALIDATORS[type(event)].encode(event)
        assert projected == as_rows(pair for e in entities.values() for pair in kind.rows(e))
        require_readable(kind, list(entities.values()))


def require_readable(kind: Kind, entities: list[Any]) -> None:
    """Demand that entities come back from their rows, whatever order further tables give."""
    rows: dict[str, list[Row]] = {table.name: [] for table in kind.tables}
    for entity in entities:
        for table, row in kind.rows(entity):
            rows[table.name].append(row)
    for table in kind.tables[1:]:
        rows[table.name].reverse()
    assert list(kind.entity_maker()(rows)) == entities


def require_snapshot(kind: Kind, entity: Any) -> None:
    """Demand that an entity's snapshot carries it whole, to memory and to the tables."""
    event = kind.snapshot(entity)
    projected: Rows = {}
    apply(projected, kind.project(event))
    VALIDATORS[type(event)].encode(event)
    assert kind.evolve(None, event) == entity
    assert kind.evolve(entity, event) == entity
    assert projected == as_rows(kind.rows(entity))
