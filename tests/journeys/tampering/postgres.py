"""The tables, changed by somebody who is no projector."""

import random
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from projector.audit.compare import Finding
from projector.audit.run import audit
from schemas.settings import Settings
from schemas.tables import Row, Table
from schemas.trading import DOMAIN
from tests.journeys.tampering.cases import Case, Judged, Where, judged, where_of
from tests.journeys.tampering.values import altered

_ATTEMPTS = 200
Done = tuple[str, set[Where]]


class PostgresPlace:
    """One projection, tampered with and put back again and again; `conn` is in autocommit."""

    def __init__(self, settings: Settings, conn: psycopg.Connection[Any]) -> None:
        self._settings = settings
        self._conn = conn
        self._rows = {table: self._read(table) for table in DOMAIN.tables.values()}

    async def judge(self, case: Case) -> Judged:
        """Tamper, audit, put everything back."""
        did, rows = self._tamper(case.kind, case.draw())
        try:
            found = await self.audit()
        finally:
            for table in {DOMAIN.tables[name] for name, _ in rows}:
                self._restore(table)
        named = {(finding.table, finding.key) for finding in found}
        beside = sorted(named - rows)
        return judged(case, did, found, [*sorted(rows - named), *(("beside", w) for w in beside)])

    async def audit(self) -> list[Finding]:
        """Compare the tables with the log."""
        result = await audit(self._settings, DOMAIN, with_memory=False, timeout_s=30)
        return result.findings

    def _tamper(self, how: str, draw: random.Random) -> Done:
        """Do it where the table's own constraints let it pass: another try, another position."""
        for _ in range(_ATTEMPTS):
            table = draw.choice(sorted(self._rows, key=lambda each: each.name))
            try:
                with self._conn.transaction():
                    return _HOW[how](self, table, draw)
            except (psycopg.IntegrityError, psycopg.errors.RaiseException):
                continue
        raise AssertionError(f"no constraint lets a {how} pass in {_ATTEMPTS} tries")

    # --- what is done

    def flip(self, table: Table, draw: random.Random) -> Done:
        row = draw.choice(self._rows[table])
        column = draw.choice(table.columns)
        at = table.columns.index(column)
        value = altered(row[at], draw) if row[at] is not None else self._some(table, at, draw)
        after = (*row[:at], value, *row[at + 1 :])
        self._update(table, row, after)
        return f"{table.name}: another {column}", {where_of(table, row), where_of(table, after)}

    def delete(self, table: Table, draw: random.Random) -> Done:
        row = draw.choice(self._rows[table])
        self._delete(table, row)
        return f"{table.name}: a row deleted", {where_of(table, row)}

    def insert(self, table: Table, draw: random.Random) -> Done:
        added = self._under_another_key(table, draw.choice(self._rows[table]), draw)
        at = draw.choice([n for n, name in enumerate(table.columns) if name not in table.key])
        if added[at] is not None:
            added = (*added[:at], altered(added[at], draw), *added[at + 1 :])
        self._insert(table, [added])
        return f"{table.name}: a row that nobody recorded", {where_of(table, added)}

    def swap(self, table: Table, draw: random.Random) -> Done:
        one, other = draw.sample(self._rows[table], 2)
        keys = [table.columns.index(name) for name in table.key]
        changed = [
            tuple(own if n in keys else far for n, (own, far) in enumerate(zip(a, b, strict=True)))
            for a, b in ((one, other), (other, one))
        ]
        if changed[0] == one:
            raise psycopg.IntegrityError("two rows with the same content: nothing to exchange")
        for before, after in zip((one, other), changed, strict=True):
            self._update(table, before, after)
        did = f"{table.name}: two rows have each other's content"
        return did, {where_of(table, one), where_of(table, other)}

    def duplicate(self, table: Table, draw: random.Random) -> Done:
        added = self._under_another_key(table, draw.choice(self._rows[table]), draw)
        self._insert(table, [added])
        return f"{table.name}: a row's content under a second key", {where_of(table, added)}

    def truncate(self, table: Table, draw: random.Random) -> Done:
        rows = sorted(self._rows[table], key=table.key_of)
        if draw.randrange(4) == 0:
            self._conn.execute(sql.SQL("TRUNCATE {}").format(self._name(table)))
            return f"{table.name}: truncated", {where_of(table, row) for row in rows}
        end = rows[draw.randrange(len(rows)) :]
        for row in end:
            self._delete(table, row)
        return f"{table.name}: its end cut off", {where_of(table, row) for row in end}

    # --- how

    def _some(self, table: Table, at: int, draw: random.Random) -> Any:
        values = [row[at] for row in self._rows[table] if row[at] is not None]
        if not values:
            raise psycopg.IntegrityError("no value of this column is known")
        return draw.choice(values)

    def _under_another_key(self, table: Table, row: Row, draw: random.Random) -> Row:
        at = table.columns.index(draw.choice(table.key))
        return (*row[:at], altered(row[at], draw), *row[at + 1 :])

    def _read(self, table: Table) -> list[Row]:
        columns = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        statement = sql.SQL("SELECT {} FROM {}").format(columns, self._name(table))
        return sorted(self._conn.execute(statement).fetchall(), key=table.key_of)

    def _restore(self, table: Table) -> None:
        with self._conn.transaction():
            self._conn.execute(sql.SQL("DELETE FROM {}").format(self._name(table)))
            self._insert(table, self._rows[table])

    def _insert(self, table: Table, rows: Sequence[Row]) -> None:
        places = sql.SQL(", ").join(sql.Placeholder() * len(table.columns))
        statement = sql.SQL("INSERT INTO {} VALUES ({})").format(self._name(table), places)
        with self._conn.cursor() as cursor:
            cursor.executemany(statement, [_sent(row) for row in rows])

    def _update(self, table: Table, before: Row, after: Row) -> None:
        sets = sql.SQL(", ").join(
            sql.SQL("{} = %s").format(sql.Identifier(name)) for name in table.columns
        )
        statement = sql.SQL("UPDATE {} SET {} WHERE {}").format(
            self._name(table), sets, self._at_key(table)
        )
        done = self._conn.execute(statement, (*_sent(after), *table.key_of(before)))
        assert done.rowcount == 1

    def _delete(self, table: Table, row: Row) -> None:
        statement = sql.SQL("DELETE FROM {} WHERE {}").format(
            self._name(table), self._at_key(table)
        )
        assert self._conn.execute(statement, table.key_of(row)).rowcount == 1

    def _at_key(self, table: Table) -> sql.Composable:
        return sql.SQL(" AND ").join(
            sql.SQL("{} = %s").format(sql.Identifier(name)) for name in table.key
        )

    def _name(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self._settings.projection, table.name)


def _sent(row: Row) -> list[Any]:
    return [Jsonb(value) if isinstance(value, dict) else value for value in row]


_HOW = {
    "flip": PostgresPlace.flip, "delete": PostgresPlace.delete, "insert": PostgresPlace.insert,
    "swap": PostgresPlace.swap, "duplicate": PostgresPlace.duplicate,
    "truncate": PostgresPlace.truncate,
}  # fmt: skip
