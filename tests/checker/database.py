"""The tables as PostgreSQL has them: all at one moment, read row by row."""

import psycopg
from psycopg import sql

from tests.checker.comparison import Comparison
from tests.checker.kinds import TABLES, Table
from tests.checker.rows import RowCheck
from tests.checker.verdict import Finding

ROWS_AT_ONCE = 5_000
Connection = psycopg.AsyncConnection[tuple[object, ...]]


async def read_tables(dsn: str, schema: str, comparison: Comparison) -> None:
    """Hand every row of every table of a schema to the comparison.

    Raises: psycopg.Error.
    """
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        await conn.execute("SET TIME ZONE 'UTC'")
        await conn.commit()
        await conn.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await conn.set_read_only(True)
        present = await _columns(conn, schema)
        for table in TABLES:
            columns = present.get(table.name, frozenset())
            comparison.findings += _unlike(table, columns)
            if columns >= table.columns.keys():
                rows = comparison.rows_of(table)
                await _compare(conn, schema, table, rows)
                comparison.counts.rows[table.name] = rows.rows


async def _compare(conn: Connection, schema: str, table: Table, rows: RowCheck) -> None:
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, table.columns)), sql.Identifier(schema, table.name)
    )
    # A named cursor keeps the rows at the server: a table may be larger than memory.
    async with conn.cursor(name="memferry_checker", binary=True) as cursor:
        cursor.itersize = ROWS_AT_ONCE
        await cursor.execute(query)
        async for row in cursor:
            rows.admit(row)
    rows.finish()


async def _columns(conn: Connection, schema: str) -> dict[str, frozenset[str]]:
    cursor = await conn.execute(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped",
        (schema,),
    )
    found: dict[str, set[str]] = {}
    for table, column in await cursor.fetchall():
        found.setdefault(str(table), set()).add(str(column))
    return {table: frozenset(columns) for table, columns in found.items()}


def _unlike(table: Table, columns: frozenset[str]) -> list[Finding]:
    """Complain of a table, or columns of it, that are missing or not known to the checker."""
    where = f"table {table.name}"
    if not columns:
        return [Finding("lost", where, "there is no such table in the schema")]
    missing = sorted(table.columns.keys() - columns)
    unknown = sorted(columns - table.columns.keys())
    return [Finding("lost", where, f"it has no column {name}") for name in missing] + [
        Finding("foreign", where, f"the checker does not know its column {name}")
        for name in unknown
    ]
