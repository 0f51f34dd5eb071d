"""One kind's entities as a projection's tables hold them, and the position that they are of.

Import this only where psycopg is installed.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec
import psycopg
from psycopg import IsolationLevel, sql

from eventlog.outbox.contract import OutboxIdentity
from eventlog.reads.database import Connection
from eventlog.reads.question import Question
from eventlog.reads.sql import query as reads_query
from eventlog.reads.tables import Tables
from eventlog.restart.sql import query
from eventlog.restart.unusable import TablesUnusable
from schemas.domain import Kind
from schemas.fingerprint import TABLES, changed_since, fingerprint
from schemas.lane import LaneHead
from schemas.mend import Mend
from schemas.settings import Settings

_PAGE_ENTITIES = 10_000
T = TypeVar("T")


class KindSnapshot(NamedTuple):
    """Entities in the order of their keys; all of one moment, as are heads and offsets."""

    heads: dict[int, LaneHead]
    """Partition → the last event of this source that the tables hold."""
    offsets: dict[int, int]
    entities: list[Any]
    mends: tuple[Mend, ...] = ()
    """What the tables obey where the topic is damaged."""
    voids: frozenset[str] = frozenset()
    """Ids of this source's voids that the rows obey."""


def read_kind(
    settings: Settings,
    schema: str,
    identity: OutboxIdentity,
    kind: Kind,
    window: int | None,
    *,
    streams: Collection[Sequence[Any]] | None = None,
    alone: bool = True,
) -> KindSnapshot:
    """Return a kind's entities in one source's projection: of each stream its newest `window`.

    Of these streams, each by the values of its fields, where they are given; else of all. `alone`:
    there may be rows of no other source.
    Raises: TablesUnusable, KindNotReadable.
    """
    try:
        with _connected(settings, identity.source) as conn:
            tables = Tables(kind, schema, _Within(conn))
            with conn.transaction():
                names = [sql.Identifier(schema, table.name) for table in kind.tables]
                conn.execute(query("restart_lock").format(tables=sql.SQL(", ").join(names)))
                voids = _voids_of_own_topic(conn, schema, identity)
                _require_nothing_parked(conn, schema, kind)
                _require_same_code(conn, schema, kind)
                heads = _own_heads(conn, schema, identity, alone=alone)
                rows = conn.execute(query("restart_position"), (schema,)).fetchall()
                if streams is not None:
                    pages = _of_streams(tables, streams, window)
                elif window is None:
                    pages = _all(kind, tables)
                else:
                    pages = _of_streams(tables, _streams(conn, tables), window)
                found = [entity for page in pages for entity in page]
                return KindSnapshot(heads, dict(rows), found, _mends(conn, identity), voids)
    except psycopg.Error as error:
        raise TablesUnusable(
            f"kind {kind.name!r} cannot be read: {str(error).strip().partition(chr(10))[0]}",
            where=f"projection {schema}, `postgres.dsn`",
            remedy="bring PostgreSQL back, or start `memferry project` once",
        ) from error


def _mends(conn: Connection, identity: OutboxIdentity) -> tuple[Mend, ...]:
    rows = conn.execute(query("restart_mends"), (identity.topic,)).fetchall()
    return tuple(msgspec.json.decode(row[0], type=Mend) for row in rows)


class _Within:
    """Reads on one connection, inside its transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def run(self, work: Callable[[Connection], T], deadline: float) -> T:
        del deadline  # a restart takes as long as it takes
        return work(self._conn)


@contextmanager
def _connected(settings: Settings, source: str) -> Iterator[Connection]:
    with psycopg.connect(
        settings.postgres.dsn,
        autocommit=True,
        connect_timeout=settings.postgres.connect_timeout_s,
        application_name=f"memferry restart {source}",
    ) as conn:
        conn.execute(reads_query("session"), ("0",))
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        yield conn


def _voids_of_own_topic(conn: Connection, schema: str, identity: OutboxIdentity) -> frozenset[str]:
    row = conn.execute(query("restart_projection"), (schema,)).fetchone()
    own = (identity.topic, identity.generation, identity.partitions)
    if row is None or row[:3] != own:
        raise TablesUnusable(
            f"projection {schema!r} is of topic, generation and partitions {row and row[:3]}, the "
            f"outbox of {own}",
            where=f"memferry.projection, name {schema}",
            remedy="correct `projection` or `postgres.dsn`",
        )
    return frozenset(void for void, source in row[3] if source == identity.source)


def _require_nothing_parked(conn: Connection, schema: str, kind: Kind) -> None:
    row = conn.execute(
        query("restart_parked"), {"projection": schema, "kind": f"{kind.name}/"}
    ).fetchone()
    if row is not None:
        stream, streams = row
        raise TablesUnusable(
            f"the tables lack parked events of {streams} streams of {kind.name!r}, as of {stream}",
            where=f"projection {schema}, memferry.parked",
            remedy="none is needed: the log has them; `memferry parked retry` brings them into the "
            "tables",
        )


def _require_same_code(conn: Connection, schema: str, kind: Kind) -> None:
    row = conn.execute(query("restart_code"), (schema, kind.name)).fetchone()
    changed = changed_since(row[0], fingerprint(kind)) if row else []
    parts = [part for part in changed if part != TABLES]  # rows are the same in other tables
    if parts:
        raise TablesUnusable(
            f"the rows of {kind.name!r} were made with other code ({', '.join(parts)})",
            where=f"projection {schema}, memferry.fingerprint",
            remedy="none is needed: the log is read with the code of now; `memferry replay "
            "--to-end` makes the tables anew with it",
        )


def _own_heads(
    conn: Connection, schema: str, identity: OutboxIdentity, *, alone: bool
) -> dict[int, LaneHead]:
    rows = conn.execute(query("restart_lanes"), (schema, identity.generation)).fetchall()
    others = {source for source, *_ in rows} - {identity.source}
    if others and alone:
        raise TablesUnusable(
            f"the tables hold rows of other sources too ({', '.join(sorted(others))}), and do not "
            "say whose a row is",
            where=f"projection {schema}",
            remedy="none is needed: the log says it",
        )
    own = (row for row in rows if row[0] == identity.source)
    return {partition: LaneHead(*head) for _, partition, *head in own}


def _all(kind: Kind, tables: Tables) -> Iterator[list[Any]]:
    key_of = kind.key_getter()
    question = Question({}, limit=_PAGE_ENTITIES)
    while page := tables.entities(question, 0.0):
        yield page
        key = key_of(page[-1])
        question = question._replace(behind=key if len(kind.key) > 1 else (key,))


def _streams(conn: Connection, tables: Tables) -> list[Sequence[Any]]:
    kind = tables.kind
    statement = query("restart_streams").format(
        stream=sql.SQL(", ").join(map(sql.Identifier, kind.stream)),
        table=sql.Identifier(tables.schema, kind.tables[0].name),
    )
    return conn.execute(statement).fetchall()


def _of_streams(
    tables: Tables, streams: Iterable[Sequence[Any]], window: int | None
) -> Iterator[list[Any]]:
    for values in streams:
        equal: Mapping[str, Any] = dict(zip(tables.kind.stream, values, strict=True))
        yield tables.entities(Question(equal, limit=window, newest=window is not None), 0.0)
