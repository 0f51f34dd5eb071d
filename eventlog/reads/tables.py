"""Reads from a projection's tables: whole entities, made from their rows.

Import this only where psycopg is installed.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec
from psycopg import sql
from psycopg.types.json import Jsonb

from eventlog.reads.database import Connection, Database
from eventlog.reads.question import Question
from eventlog.reads.sql import query
from schemas.domain import Kind
from schemas.entities import KindNotReadable
from schemas.tables import Row, Table

T = TypeVar("T")


class Runs(Protocol):
    """What runs reads: a pool of connections, or one connection in its transaction."""

    def run(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Return what `work` reads on one connection."""


class _Shape(NamedTuple):
    """All of a question that its statements depend on: field and whether it must be null."""

    equal: tuple[tuple[str, bool], ...]
    behind: bool
    newest: bool


class Tables:
    """One kind's entities in the tables of a projection.

    Raises: KindNotReadable, at once; later every method raises ReadUnavailable.
    """

    def __init__(self, kind: Kind, schema: str, database: Runs) -> None:
        self.kind = kind
        self.schema = schema
        self._database = database
        self._make = kind.entity_maker()
        for table in kind.tables:
            if missing := set(kind.key) - set(table.columns):
                raise KindNotReadable(
                    f"kind {kind.name!r} cannot be read from PostgreSQL: table {table.name} lacks "
                    f"its key: {', '.join(sorted(missing))}",
                    where=f"table {table.name} of the domain",
                    remedy="give each of a kind's tables the columns that are the kind's key",
                )
        self._collated: frozenset[str] | None = None
        self._statements: dict[_Shape, list[bytes]] = {}

    def entities(self, question: Question, deadline: float) -> list[Any]:
        """Return the entities that a question asks for, in the order of their keys."""
        return self._database.run(lambda conn: self._entities(conn, question), deadline)

    def count(self, deadline: float) -> int:
        """Return how many entities the tables hold."""
        statement = query("entities_count").format(table=self._name(self.kind.tables[0]))
        rows = self._database.run(lambda conn: conn.execute(statement).fetchall(), deadline)
        number: int = rows[0][0]
        return number

    def _entities(self, conn: Connection, question: Question) -> list[Any]:
        equal = tuple((name, value is None) for name, value in question.equal.items())
        shape = _Shape(equal, question.behind is not None, question.newest)
        statements = self._statements.get(shape)
        if statements is None:
            statements = [text.as_bytes(conn) for text in self._compose(conn, shape)]
            self._statements[shape] = statements
        values = [_stored(v) for v in question.equal.values() if v is not None]
        parameters = [*values, *map(_stored, question.behind or ()), question.limit]
        with conn.cursor(binary=True) as cursor:
            if len(statements) == 1:
                answers = [cursor.execute(statements[0], parameters).fetchall()]
            else:
                with conn.transaction():  # one snapshot for all rows of an entity
                    answers = [cursor.execute(s, parameters).fetchall() for s in statements]
        rows: dict[str, Sequence[Row]] = {
            table.name: found for table, found in zip(self.kind.tables, answers, strict=True)
        }
        entities = self._make(rows)
        return list(entities[::-1] if question.newest else entities)

    # --- statements

    def _compose(self, conn: Connection, shape: _Shape) -> list[sql.Composed]:
        first, *further = self.kind.tables
        collated = self._collated_columns(conn, first)
        key = [self._ordered(name, collated) for name in self.kind.key]
        conditions: list[sql.Composable] = [
            sql.SQL("{} IS NULL" if null else "{} = %s").format(sql.Identifier(name))
            for name, null in shape.equal
        ]
        if shape.behind:
            places = sql.SQL(", ").join([sql.SQL("%s")] * len(key))
            conditions.append(sql.SQL("({}) > ({})").format(sql.SQL(", ").join(key), places))
        direction = sql.SQL(" DESC") if shape.newest else sql.SQL("")
        parts = {
            "condition": sql.SQL(" AND ").join(conditions) if conditions else sql.SQL("true"),
            "order": sql.SQL(", ").join([name + direction for name in key]),
        }
        selected = query("entities_select").format(
            columns=_names(first.columns), table=self._name(first), **parts
        )
        return [
            selected,
            *[
                query("further_select").format(
                    columns=_names(table.columns), table=self._name(table),
                    key=_names(self.kind.key), first=self._name(first), **parts,
                )
                for table in further
            ],
        ]  # fmt: skip

    def _name(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self.schema, table.name)

    @staticmethod
    def _ordered(column: str, collated: frozenset[str]) -> sql.Composed:
        # By code point, as Python orders text; the database's own collation is its locale's.
        text = '{} COLLATE "C"' if column in collated else "{}"
        return sql.SQL(text).format(sql.Identifier(column))

    def _collated_columns(self, conn: Connection, table: Table) -> frozenset[str]:
        if self._collated is None:
            name = self._name(table).as_string(conn)
            rows = conn.execute(query("collated_columns"), (name,)).fetchall()
            self._collated = frozenset(chain.from_iterable(rows))
        return self._collated


def others_write(database: Database, projection: str, source: str, deadline: float) -> bool:
    """Say whether the tables hold events of other sources than this one."""
    given = (projection, source)
    rows = database.run(
        lambda conn: conn.execute(query("other_sources"), given).fetchall(), deadline
    )
    return bool(rows[0][0])


def _names(columns: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _stored(value: Any) -> Any:
    """Return a field's value as its column holds it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict | list | tuple | set | frozenset | msgspec.Struct):
        return Jsonb(value, dumps=msgspec.json.encode)
    return value
