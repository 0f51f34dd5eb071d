"""Where reads go, and how that changes: fence, barriers, one compare-and-set, then the word of it.

ask for the fence ─► writers stand still, put barriers with a higher epoch
                     ─► barriers committed in the tables (for a way back: on the disk)
decide, once, within the lease ─► writers go on
publish to Kafka ─► announce to readers
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Literal, NamedTuple

import msgspec
import psycopg

from projector.decisions import decide, publish_decisions
from projector.migration import fences
from projector.migration.fences import Fence, FenceBroken
from projector.migration.unchanged import Base, require_unchanged
from projector.parked import require_nothing_parked
from projector.route import Route, followers, read_route
from projector.sql import query
from projector.trail import actor, note
from schemas.control import ReadsSwitched
from schemas.errors import FerryError
from schemas.position import control_topic
from schemas.settings import Settings

_LOCK_MS = 5_000
_PAUSE_S = 0.5
_FOLLOW_S = 10.0
log = logging.getLogger("memferry.migration")


class Switched(msgspec.Struct, frozen=True):
    """A switch that was decided."""

    route: Route
    epoch: int
    fence: str
    pauses_ms: dict[str, float]
    """Source → for how long it held mutations, by its own clock."""
    fence_ms: float
    """From asking for the fence to the decision, by the decider's clock."""
    compared: tuple[str, ...] = ()
    """Tables that were compared with memory while writers stood still."""
    compared_ms: float = 0.0
    """How much of the fence that took."""

    @property
    def pause_ms(self) -> float:
        """The longest pause that a writer had."""
        return max(self.pauses_ms.values(), default=0.0)


async def switch(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    route: Literal["memory", "postgres"],
    sources: Sequence[str],
    *,
    base: Base | None = None,
) -> Switched:
    """Move reads, with every writer standing still for a moment; return once all follow.

    With a `base` the tables must have moved since as memory did.

    Where the fence breaks it is asked for again, `migration.cutover_attempts` times in all.
    Raises: FenceBroken where nothing was decided: reads stay where they were, writers go on.
            EventsParked likewise, where not all that the log has is in the tables; TablesChanged
            where somebody else wrote to them; BaseOutdated where that cannot be said.
            BrokerUnreachable where it is decided, but readers will hear of it later.
    """
    with _listening(conn):
        move = _Move(conn, settings, projection, route, sources, base)
        fence, took_s, compared = await _decide_at_last(move)
        await publish_decisions(conn, settings)
        pauses = await asyncio.to_thread(_pauses, conn, settings, fence, sources)
        await asyncio.to_thread(_wait_for_followers, conn, projection, sources)
    return Switched(route, fence.epoch, fence.id, pauses, took_s * 1000, *compared)


async def switch_without_fence(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    route: Literal["memory", "shadow"],
    sources: Sequence[str],
) -> None:
    """Move reads between memory and shadow: memory answers in both, so nobody stands still."""
    before = read_route(conn, projection)
    with conn.transaction():
        event = ReadsSwitched(projection, route, before.epoch, "", {}, actor())
        decide(conn, settings, event)
        note(conn, "reads switched", {"route": before.route}, event)
    await publish_decisions(conn, settings)
    with _listening(conn):
        await asyncio.to_thread(_wait_for_followers, conn, projection, sources)


@contextmanager
def _listening(conn: psycopg.Connection[Any]) -> Iterator[None]:
    """Hear the sources' answers meanwhile."""
    conn.execute("LISTEN memferry_fence_answer")
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute("UNLISTEN memferry_fence_answer")


class _Move(NamedTuple):
    conn: psycopg.Connection[Any]
    settings: Settings
    projection: str
    route: Route
    sources: Sequence[str]
    base: Base | None


_Compared = tuple[tuple[str, ...], float]
"""The tables that were compared with memory, and the milliseconds that it took."""


async def _decide_at_last(move: _Move) -> tuple[Fence, float, _Compared]:
    for _ in range(move.settings.migration.cutover_attempts - 1):
        try:
            return await asyncio.to_thread(_decide, move)
        except FenceBroken as error:
            log.warning("the switch is tried again: %s", error.what)
            await asyncio.sleep(_PAUSE_S)
    return await asyncio.to_thread(_decide, move)


def _compare(move: _Move, fence: Fence) -> _Compared:
    if move.base is None:
        return (), 0.0
    began = time.perf_counter()
    compared = require_unchanged(move.conn, move.projection, fence.id, move.base)
    return compared, (time.perf_counter() - began) * 1000


def _decide(move: _Move) -> tuple[Fence, float, _Compared]:
    conn, settings, projection, route, sources, _ = move
    before = read_route(conn, projection)
    with _control_lock(conn, settings):
        started = time.monotonic()
        purpose: fences.Purpose = "cutover" if route == "postgres" else "switch_back"
        fence = fences.ask(conn, settings, projection, purpose)
        try:
            lease_s = settings.migration.max_downtime_ms / 1000
            said = fences.wait_for(conn, fence.id, sources, ("caught_up",), lease_s)
            heads = {source: said[source].heads for source in sources}
            event = ReadsSwitched(projection, route, fence.epoch, fence.id, heads, actor())
            with conn.transaction():
                if route == "postgres":  # every event before the barriers is applied, or parked
                    require_nothing_parked(conn, projection, "reads stay in memory")
                compared = _compare(move, fence)
                values = {"fence": fence.id, "sources": list(sources)}
                if conn.execute(query("fence_decide"), values).fetchone() is None:
                    raise FenceBroken(
                        "the lease ended before the switch could be decided",
                        where=f"projection {projection}",
                        remedy="run it again; with a slow disk or broker, raise "
                        "`migration.max_downtime_ms`",
                    )
                decide(conn, settings, event)
                note(conn, "reads switched", {"route": before.route}, event)
                conn.execute(query("fence_notify"), (projection,))
        except BaseException as error:  # whatever it was, writers need not wait for their leases
            reason = error.what if isinstance(error, FerryError) else repr(error)
            with suppress(psycopg.Error):  # a writer whose lease ended may have aborted it first
                fences.settle(conn, settings, projection, reason, only=fence.id)
            raise
    return fence, time.monotonic() - started, compared


def _pauses(
    conn: psycopg.Connection[Any], settings: Settings, fence: Fence, sources: Sequence[str]
) -> dict[str, float]:
    lease_s = settings.migration.max_downtime_ms / 1000
    try:
        said = fences.wait_for(conn, fence.id, sources, ("opened",), lease_s + 1)
    except FenceBroken:  # decided all the same: a writer whose report is late goes on by its lease
        said = fences.answers(conn, fence.id)
    return {s: answer.pause_ms for s, answer in said.items() if answer.pause_ms is not None}


@contextmanager
def _control_lock(conn: psycopg.Connection[Any], settings: Settings) -> Iterator[None]:
    """Have the lock of decisions before any writer stands still: its holder may wait for Kafka."""
    topic = control_topic(settings.topic)
    conn.execute(query("lock_timeout"), (f"{_LOCK_MS}ms",))
    try:
        conn.execute(query("control_lock_session"), (topic,))
    except psycopg.errors.LockNotAvailable as error:
        raise FenceBroken(
            f"the control topic is being read for more than {_LOCK_MS} ms by somebody else",
            where=f"topic {topic}",
            remedy="is Kafka well? run it again",
        ) from error
    finally:
        conn.execute(query("lock_timeout"), ("0",))
    try:
        yield
    finally:
        if not conn.closed:
            conn.execute(query("control_unlock_session"), (topic,))


def _wait_for_followers(
    conn: psycopg.Connection[Any], projection: str, sources: Sequence[str]
) -> None:
    """Return once every source has heard of the route; a source that is late hears it later."""
    deadline = time.monotonic() + _FOLLOW_S
    while time.monotonic() < deadline:
        if followers(conn, projection) >= set(sources):
            return
        for _ in conn.notifies(timeout=0.1, stop_after=1):
            pass
