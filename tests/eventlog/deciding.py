"""The deciding side of a switch, as far as a writer sees it."""

from typing import Any

import psycopg

from projector.migration.fences import Fence
from projector.sql import query
from tests.eventlog.app import opened
from tests.eventlog.writer import Mutation, Writer

LONG_MS = 60_000
"""A lease that no test sees the end of."""
SHORT_MS = 150


def state(database: psycopg.Connection[Any], fence: Fence) -> tuple[str, str]:
    row = database.execute(
        "SELECT state, reason FROM memferry.fence WHERE id = %s", (fence.id,)
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def decide(database: psycopg.Connection[Any], fence: Fence, *sources: str) -> bool:
    values = {"fence": fence.id, "sources": list(sources)}
    return database.execute(query("fence_decide"), values).fetchone() is not None


def tell(database: psycopg.Connection[Any], fence: Fence) -> None:
    database.execute(query("fence_notify"), (fence.projection,))


def record(writer: Writer, name: str = "a") -> Mutation:
    return Mutation(lambda: writer.ferry.record(opened(name)))
