"""Events for an outbox in PostgreSQL, and the cutting of its connections."""

import psycopg

from tests.eventlog.outbox.appender import Item


def items(*names: str) -> list[Item]:
    return [Item(number % 3, f"account/{name}", name) for number, name in enumerate(names)]


def cut(dsn: str, pid: int) -> None:
    with psycopg.connect(dsn) as conn:
        conn.execute("SELECT pg_terminate_backend(%s)", (pid,))
