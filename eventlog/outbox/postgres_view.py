"""A PostgreSQL outbox as it was at one moment, however long it is read.

Import this only where psycopg is installed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from psycopg import IsolationLevel

from eventlog.outbox.integrity import View
from eventlog.outbox.postgres_place import Place, first_connection, read_heads, read_identity
from eventlog.outbox.postgres_reader import read_rows


@contextmanager
def view_of(place: Place) -> Iterator[View]:
    """Open a view of a schema; raises OutboxAway, OutboxInvalid."""
    with first_connection(place, "outbox audit") as conn:
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True
        with conn.transaction():
            found = read_identity(conn, place)
            heads = read_heads(conn, place.schema) if found else {}
            identity = found[0] if found else None
            yield View(identity, heads, partial(read_rows, conn, place.schema), [])
