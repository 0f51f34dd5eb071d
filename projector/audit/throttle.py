"""An audit job leaves the database alone while others keep it busy."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import psycopg

from projector.sql import query
from schemas.settings import Audit

_LOOK_S = 1.0


class Load(NamedTuple):
    """Others' sessions: how many are at work, and of how many this role may not know that."""

    active: int
    hidden: int


def load_of(conn: psycopg.Connection[Any]) -> Load:
    """Return how busy the server is with others' sessions."""
    return Load(*(conn.execute(query("sessions_active")).fetchone() or (0, 0)))


async def wait_until_quiet(
    conn: psycopg.Connection[Any],
    settings: Audit,
    stopping: asyncio.Event,
    told: Callable[[str], None],
    look_s: float = _LOOK_S,
) -> list[str]:
    """Return once no more than `audit.max_active` sessions are at work, or `stopping` is set.

    `told` is called with the reason of waiting, whenever it is another one.
    Returns: for the report, what could not be seen, and whether `audit.patience_s` passed, behind
             which the audit is made all the same.
    """
    deadline = time.monotonic() + settings.patience_s
    said = ""
    while True:
        load = await asyncio.to_thread(load_of, conn)
        notes = [_hidden(load)] if load.hidden else []
        if load.active <= settings.max_active or stopping.is_set():
            return notes
        busy = f"{load.active} sessions are at work in the database, more than "
        busy += f"`audit.max_active` ({settings.max_active})"
        left = deadline - time.monotonic()
        if left <= 0:
            return [*notes, f"made though {busy}: it had waited for {settings.patience_s:,} s"]
        if busy != said:
            said = busy
            told(f"waits: {busy}")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), min(look_s, left))


def _hidden(load: Load) -> str:
    return (
        f"whether {load.hidden} sessions of other roles were at work could not be seen: "
        "`GRANT pg_read_all_stats` to the audit's role shows it"
    )
