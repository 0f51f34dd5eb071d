"""The apps in a final rollback: asked to prepare their memory, then let void under a fence."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import psycopg

from projector.migration import fences
from projector.migration.fences import FenceBroken
from projector.replay.opening import Work
from projector.sources import asking
from projector.sql import query
from schemas.errors import FerryError
from schemas.requests import RollbackQuestion, RollbackReady

_PREPARE_S = 120.0
_PAUSE_S = 0.5


class VoidRefused(FerryError):
    """Ends of streams cannot be voided, or a void not be reversed; nothing was changed."""


class Committed(NamedTuple):
    """What came of a fence: for how long each source stood still, in ms; who said nothing more."""

    pauses_ms: dict[str, float]
    silent: list[str]


def prepare(work: Work, questions: Mapping[str, RollbackQuestion]) -> dict[str, RollbackReady]:
    """Have each source prepare its memory; return what they say.

    Raises: SourceSilent; VoidRefused, naming the streams that stand in the way.
    """
    ready: dict[str, RollbackReady] = {}
    for source, question in questions.items():
        with asking(work.conn, work.name, [source], "rollback", question) as asked:
            answer = asked.answers(_PREPARE_S)[source]
        ready[source] = msgspec.convert(answer, RollbackReady)
    refused = {source: one for source, one in ready.items() if one.refused_total}
    if refused:
        source, one = next(iter(refused.items()))
        restoring = next(iter(questions.values())).restore
        names = ", ".join(one.refused[:5])
        rest = one.refused_total - len(one.refused[:5])
        raise VoidRefused(
            f"{sum(r.refused_total for r in refused.values()):,} streams stand in the way: {names}"
            + (f" and {rest:,} more" if rest > 0 else "")
            + (
                ": newer events stand on what the void left"
                if restoring
                else ": their first event behind the position is their first snapshot, and their "
                "state before it is in no log"
            ),
            where=f"source {source}",
            remedy="void those newer events first"
            if restoring
            else "name the streams to be voided (`memferry void --stream`), or choose a position "
            "behind their snapshots",
        )
    return ready


def commit(work: Work, void: str, sources: Sequence[str]) -> Committed:
    """Fence the sources and let them decide; return once each has said that it goes on.

    Raises: FenceBroken where nothing was decided: nobody has voided anything.
    """
    attempts = work.settings.migration.cutover_attempts
    for _ in range(attempts - 1):
        try:
            return _commit(work, void, sources)
        except FenceBroken:
            time.sleep(_PAUSE_S)
    return _commit(work, void, sources)


def _commit(work: Work, void: str, sources: Sequence[str]) -> Committed:
    conn, settings = work.conn, work.settings
    lease_s = settings.migration.max_downtime_ms / 1000
    conn.execute("LISTEN memferry_fence_answer")
    try:
        fence = fences.ask(conn, settings, work.name, "rollback", void)
        try:
            fences.wait_for(conn, fence.id, sources, ("caught_up",), lease_s)
            with conn.transaction():
                values = {"fence": fence.id, "sources": list(sources)}
                if conn.execute(query("fence_decide"), values).fetchone() is None:
                    raise FenceBroken(
                        "the lease ended before the sources could be told to go back",
                        where=f"projection {work.name}",
                        remedy="run it again; with a slow disk, raise `migration.max_downtime_ms`",
                    )
                conn.execute(query("fence_notify"), (work.name,))
        except BaseException as error:
            reason = error.what if isinstance(error, FerryError) else repr(error)
            if not conn.closed:
                fences.settle(conn, settings, work.name, reason, only=fence.id)
            raise
        try:
            said = dict(fences.wait_for(conn, fence.id, sources, ("opened",), lease_s + 1))
        except FenceBroken:  # what came of it is in the control topic
            said = fences.answers(conn, fence.id)
    finally:
        if not conn.closed:
            conn.execute("UNLISTEN memferry_fence_answer")
    pauses = {s: a.pause_ms for s, a in said.items() if s in sources and a.pause_ms is not None}
    return Committed(pauses, [source for source in sources if source not in pauses])


def voided_by(conn: psycopg.Connection[Any], topic: str, void: str) -> dict[str, bool]:
    """Return the sources that decided a void, and of each whether it has reversed it."""
    rows = conn.execute(query("void_sources"), (topic, void)).fetchall()
    return dict(rows)
