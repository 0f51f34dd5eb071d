"""The limit of catching up: staged COPY + INSERT … ON CONFLICT of the same events' rows.

Rows are folded, sorted and written as text beforehand, in batches of the projector's size; what is
measured is PostgreSQL with psycopg alone.
"""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql

from projector.copy_text import copy_rows
from schemas.domain import Domain
from schemas.tables import Key, Row, Table

_COPY = "COPY {} FROM STDIN WITH (FORMAT csv, NULL 'null', QUOTE '\"', ESCAPE '\\')"


class Batch(NamedTuple):
    """So many events, and the rows of each table as they are behind them, as COPY's text."""

    events: int
    tables: list[tuple[str, bytes]]


def batches_of(
    domain: Domain, events: Iterable[msgspec.Struct], size: int = 10_000
) -> Iterator[Batch]:
    """Yield events' rows, `size` events a batch: a row that two of them touch is there once."""
    entities: dict[tuple[str, Any], Any] = {}
    keys = {kind.name: kind.key_getter() for kind in domain.kinds}
    source = iter(events)
    while chunk := list(islice(source, size)):
        touched: dict[str, dict[Key, Row]] = {}
        for event in chunk:
            kind = domain.kind_of[type(event)]
            place = (kind.name, keys[kind.name](event))
            entity = entities[place] = kind.evolve(entities.get(place), event)
            for table, row in kind.rows(entity):
                touched.setdefault(table.name, {})[table.key_of(row)] = row
        yield Batch(
            len(chunk),
            [
                (name, _text([row for _, row in sorted(rows.items())]))
                for name, rows in touched.items()
            ],
        )


def raw_staged(
    dsn: str, schema: str, domain: Domain, batches: Sequence[Batch], writers: int = 1
) -> float:
    """Return events/s into tables like those of a projection, made in a schema of its own.

    Writers have a connection and a thread each, and take the batches in turn: a row of two batches
    is then written in either order, which is all one to its cost.
    """
    raw = f"{schema}_raw"
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(raw)))
        for table in domain.tables.values():
            conn.execute(
                sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING ALL)").format(
                    sql.Identifier(raw, table.name), sql.Identifier(schema, table.name)
                )
            )
        seconds = _written(dsn, raw, domain, batches, writers)
        conn.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(raw)))
    return sum(batch.events for batch in batches) / seconds


def _written(dsn: str, raw: str, domain: Domain, batches: Sequence[Batch], writers: int) -> float:
    """Return the seconds from the first writer's begin to the last one's end."""
    ready = threading.Barrier(writers + 1)
    failed: list[BaseException] = []

    def write(mine: Sequence[Batch]) -> None:
        try:
            with psycopg.connect(dsn) as conn:
                statements = {n: _staged(conn, raw, t) for n, t in domain.tables.items()}
                conn.commit()
                ready.wait()
                for batch in mine:
                    _write(conn, statements, batch)
        except BaseException as error:
            failed.append(error)
            ready.abort()

    threads = [
        threading.Thread(target=write, args=(batches[number::writers],))
        for number in range(writers)
    ]
    for thread in threads:
        thread.start()
    with suppress(threading.BrokenBarrierError):  # a writer failed: its error is raised below
        ready.wait()
    started = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    if failed:
        raise failed[0]
    return seconds


def _write(
    conn: psycopg.Connection[Any],
    statements: dict[str, tuple[sql.Composed, sql.Composed]],
    batch: Batch,
) -> None:
    for name, text in batch.tables:
        copy_statement, upsert = statements[name]
        with conn.cursor().copy(copy_statement) as copy:
            copy.write(text)
        conn.execute(upsert)
    conn.commit()


def _staged(
    conn: psycopg.Connection[Any], raw: str, table: Table
) -> tuple[sql.Composed, sql.Composed]:
    """Make a table's stage; return what copies into it, and what brings its rows to the table."""
    stage = sql.Identifier(f"raw_stage_{table.name}")
    others = [column for column in table.columns if column not in table.key]
    names: dict[str, sql.Composable] = {
        "live": sql.Identifier(raw, table.name), "stage": stage,
        "columns": sql.SQL(", ").join(map(sql.Identifier, table.columns)),
        "key": sql.SQL(", ").join(map(sql.Identifier, table.key)),
        "sets": sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(column)) for column in others
        ),
    }  # fmt: skip
    conn.execute(
        sql.SQL(
            "CREATE TEMPORARY TABLE {stage} ON COMMIT DELETE ROWS AS "
            "SELECT {columns} FROM {live} WITH NO DATA"
        ).format(**names)
    )
    conflict = "DO UPDATE SET {sets}" if others else "DO NOTHING"
    upsert = sql.SQL(
        "INSERT INTO {live} ({columns}) SELECT {columns} FROM {stage} "
        f"ON CONFLICT ({{key}}) {conflict}"
    ).format(**names)
    return sql.SQL(_COPY).format(stage), upsert


def _text(rows: list[Row]) -> bytes:
    documents = {p for p, value in enumerate(rows[0]) if isinstance(value, dict | list)}
    return copy_rows(rows, documents)
