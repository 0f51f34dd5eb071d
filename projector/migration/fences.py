"""Fences as the deciding side sees them: asked for, renewed, waited for, ended.

A fence is a row with a lease. Every writer counts its own; this row's began earlier, so a decision
within it finds every writer that answered still standing.
"""

import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, NamedTuple

import psycopg

from projector.decisions import decide
from projector.sql import query
from projector.trail import actor, note
from schemas.control import SwitchAborted
from schemas.errors import FerryError
from schemas.settings import Settings
from schemas.sql import statement

Purpose = Literal["cutover", "switch_back", "hold", "rollback"]
_LOOK_S = 0.05


class FenceBroken(FerryError):
    """A fence ended before everything was where it must be; reads stay where they were."""


class Fence(NamedTuple):
    """A fence that was asked for."""

    id: str
    projection: str
    purpose: str
    epoch: int


class Answer(NamedTuple):
    """What one source says of a fence; `heads` are its barrier's numbers by partition."""

    state: Literal["fenced", "caught_up", "refused", "opened"]
    detail: str
    heads: dict[int, int]
    pause_ms: float | None


def ask(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    purpose: Purpose,
    subject: str = "",
) -> Fence:
    """Ask every writer to stand still, for `migration.max_downtime_ms` at most.

    `subject` is the id of the void that a rollback is about.
    """
    fence = str(uuid.uuid4())
    with conn.transaction():
        row = conn.execute(query("epoch_raise"), {"topic": settings.topic}).fetchone()
        epoch: int = row[0] if row else 0
        conn.execute(
            query("fence_ask"),
            {
                "fence": fence,
                "projection": projection,
                "purpose": purpose,
                "epoch": epoch,
                "lease_ms": settings.migration.max_downtime_ms,
                "subject": subject,
            },
        )
    return Fence(fence, projection, purpose, epoch)


def answers(conn: psycopg.Connection[Any], fence: str) -> dict[str, Answer]:
    """Return what each source has said of a fence."""
    return _answers(conn.execute(query("fence_answers"), (fence,)))


def answers_about(conn: psycopg.Connection[Any], subject: str) -> dict[str, Answer]:
    """Return what each source has said of the newest fence about a void."""
    return _answers(conn.execute(query("fence_answers_about"), (subject,)))


def _answers(rows: Iterable[Any]) -> dict[str, Answer]:
    return {
        source: Answer(state, detail, {int(p): seq for p, seq in (heads or {}).items()}, pause_ms)
        for source, state, detail, heads, pause_ms in rows
    }


def wait_for(
    conn: psycopg.Connection[Any],
    fence: str,
    sources: Collection[str],
    wanted: Collection[str],
    timeout_s: float,
) -> Mapping[str, Answer]:
    """Return once every source's answer is one of `wanted`; LISTEN is the caller's.

    Raises: FenceBroken, naming the sources that refused or said nothing in time.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        said = answers(conn, fence)
        late = [source for source in sources if source not in said]
        late += [s for s in sources if s in said and said[s].state not in wanted]
        if not late:
            return said
        for source in late:
            if source in said and said[source].state == "refused":
                raise FenceBroken(
                    f"source {source!r} refused the fence: {said[source].detail}",
                    where=f"source {source}",
                    remedy="look at the app; nothing was changed",
                )
        left = deadline - time.monotonic()
        if left <= 0:
            states = ", ".join(f"{s} {said[s].state if s in said else 'silent'}" for s in late)
            raise FenceBroken(
                f"not every writer was where it must be within {timeout_s * 1000:.0f} ms: {states}",
                where="source " + ", ".join(late),
                remedy="a silent source is frozen or has no control connection; one that is only "
                "fenced waits for relay or projector: see `memferry status`",
            )
        for _ in conn.notifies(timeout=min(left, _LOOK_S), stop_after=1):
            pass


def abort(conn: psycopg.Connection[Any], fence: str, reason: str) -> bool:
    """Let the writers go on, where nothing was decided; False where it was, or had ended."""
    values = {"fence": fence, "reason": reason}
    return conn.execute(statement("fence_abort"), values).fetchone() is not None


def settle(
    conn: psycopg.Connection[Any],
    settings: Settings,
    projection: str,
    reason: str,
    only: str | None = None,
) -> int:
    """End what a dead run left open, and note every abort that is not in the trail yet.

    The caller has the migration's lock, so nobody else's fence can be open; `only` one fence is
    settled where it is named. Returns how many.
    """
    left = conn.execute(query("fences_open"), (projection,)).fetchall()
    left = [row for row in left if only in {None, row[0]}]
    for fence, purpose, epoch, ended in left:
        with conn.transaction():
            now = abort(conn, fence, reason)
            opened = Fence(fence, projection, purpose, epoch)
            note_abort(conn, settings, opened, reason if now else ended)
    return len(left)


def note_abort(
    conn: psycopg.Connection[Any], settings: Settings, fence: Fence, reason: str
) -> None:
    """Put an abort into the trail and among the decisions, in the caller's transaction."""
    event = SwitchAborted(fence.projection, fence.purpose, fence.epoch, fence.id, reason, actor())
    decide(conn, settings, event)
    note(conn, "switch aborted", {}, event)
    conn.execute(query("fence_noted"), (fence.id,))
