"""One kind's entities as a projection's tables hold them, and the position that they are of.

Import this only where psycopg is installed.
"""

from collections.abc import Callable, Iterator, Mapping
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


def read_kind(
    settings: Settings, schema: str, identity: OutboxIdentity, kind: Kind, window: int | None
) -> KindSnapshot:
    """Return a kind's entities in one source's projection: of each stream its newest `window`.

    Raises: TablesUnusable, KindNotReadable.
    """
    try:
        with _connected(settings, identity.source) as conn:
            tables = Tables(kind, schema, _Within(conn))
            with conn.transaction():
                names = [sql.Identifier(schema, table.name) for table in kind.tables]
                conn.execute(query("restart_lock").format(tables=sql.SQL(", ").join(names)))
                _require_own_topic(conn, schema, identity)
                _require_nothing_parked(conn, schema, kind)
                _require_same_code(conn, schema, kind)
                heads = _own_heads(conn, schema, identity)
                rows = conn.execute(query("restart_position"), (schema,)).fetchall()
                pages = _all(kind, tables) if window is None else _newest(conn, tables, window)
                found = [entity for page in pages for entity in page]
                return KindSnapshot(heads, dict(rows), found, _mends(conn, identity))
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


def _require_own_topic(conn: Connection, schema: str, identity: OutboxIdentity) -> None:
    row = conn.execute(query("restart_projection"), (schema,)).fetchone()
    own = (identity.topic, identity.generation, identity.partitions)
    if row != own:
        raise TablesUnusable(
            f"projection {schema!r} is of topic, generation and partitions {row}, the outbox of "
            f"{own}",
            where=f"memferry.projection, name {schema}",
            remedy="correct `projection` or `postgres.dsn`",
        )


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


def _own_heads(conn: Connection, schema: str, identity: OutboxIdentity) -> dict[int, LaneHead]:
    rows = conn.execute(query("restart_lanes"), (schema, identity.generation)).fetchall()
    others = {source for source, *_ in rows} - {identity.source}
    if others:
        raise TablesUnusable(
            f"the tables hold rows of other sources too ({', '.join(sorted(others))}), and do not "
            "say whose a row is",
            where=f"projection {schema}",
            remedy="none is needed: the log says it",
        )
    return {partition: LaneHead(*head) for _, partition, *head in rows}


def _all(kind: Kind, tables: Tables) -> Iterator[list[Any]]:
    key_of = kind.key_getter()
    question = Question({}, limit=_PAGE_ENTITIES)
    while page := tables.entities(question, 0.0):
        yield page
        key = key_of(page[-1])
        question = question._replace(behind=key if len(kind.key) > 1 else (key,))


def _newest(conn: Connection, tables: Tables, window: int) -> Iterator[list[Any]]:
    kind = tables.kind
    streams: list[Mapping[str, Any]] = [
        dict(zip(kind.stream, row, strict=True))
        for row in conn.execute(
            query("restart_streams").format(
                stream=sql.SQL(", ").join(map(sql.Identifier, kind.stream)),
                table=sql.Identifier(tables.schema, kind.tables[0].name),
            )
        )
    ]
    for equal in streams:
        yield tables.entities(Question(equal, limit=window, newest=True), 0.0)
