"""Look back: the tables alone go to a position and hold there, the app goes on; and forward again.

Nothing is taken from the log: whatever lies behind the position is set aside until `resume`.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import closing

import msgspec
from psycopg import sql

from projector.checkpoint import offsets_of
from projector.control_tables import connect, read_projection, set_state
from projector.log import Log
from projector.migration.record import lock
from projector.notices import Notices
from projector.progress import PartitionProgress, Progress
from projector.replay.replaying import Way, replay
from projector.replay.savepoints import checkpoint_position
from projector.replay.target import Target
from projector.sql import query
from projector.standing import Standing, standing
from projector.trail import note
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION, format_offsets, kafka_topic
from schemas.settings import Settings

_CHANNELS = ("memferry_applied", "memferry_projection")
_ALL = 0  # the one place of a progress that counts all partitions together


class NotHeld(FerryError):
    """The projection holds nowhere: there is nothing to resume from."""


class LookedBack(msgspec.Struct, frozen=True):
    """Where the tables were and where they hold; rows by table."""

    before: str
    position: str
    set_aside: int
    """Records between the two: the log keeps them, the tables no longer show them."""
    rows_before: dict[str, int]
    rows: dict[str, int]
    seconds: float
    target: str = ""
    way: Way = "swap"
    savepoint: str = ""
    """Names where the tables were."""
    kept: str = ""
    """Where the tables are that were live before; empty: they were emptied."""
    pause_ms: float = 0.0
    """The longest that a reader may have waited at the swap."""


class Resumed(msgspec.Struct, frozen=True):
    """A projection that goes on."""

    position: str
    """Where it held."""
    behind: int
    """Records that the log held behind it then."""
    caught_up: bool
    """Whether a projector has applied those by now."""
    seconds: float


async def look_back(
    settings: Settings,
    domain: Domain,
    target: Target,
    on_progress: Callable[[Progress], None] = lambda _: None,
    *,
    way: Way = "swap",
) -> LookedBack:
    """Take the tables to a position in the past and hold them there.

    Raises: ReadsInPostgres, MigrationInProgress, PositionInvalid, SavepointUnknown before anything
            changes.
    """
    started = time.monotonic()
    name = settings.projection or domain.name
    with connect(settings, "rollback") as conn:
        read_projection(conn, name)
        before = offsets_of(conn, name)
        rows_before = _counts(settings, name, domain) if way == "in_place" else {}
        done = await replay(
            settings, domain, target, way=way, kind="rollback", on_progress=on_progress
        )
        reached = offsets_of(conn, name)
        if done.kept:  # what was live is there as it was at the swap
            before = offsets_of(conn, done.kept)
            rows_before, rows = await asyncio.gather(
                asyncio.to_thread(_counts, settings, done.kept, domain),
                asyncio.to_thread(_counts, settings, name, domain),
            )
        else:
            rows = _counts(settings, name, domain)
    return LookedBack(
        format_offsets(before),
        format_offsets(reached),
        sum(before.values()) - sum(reached.values()),
        rows_before,
        rows,
        time.monotonic() - started,
        done.target,
        way,
        done.savepoint,
        done.kept,
        done.pause_ms,
    )


async def resume(
    settings: Settings,
    domain: Domain,
    timeout_s: float = 60.0,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Resumed:
    """Let a held projection go on; return once a projector has brought it to where the log ended.

    Raises: NotHeld, MigrationInProgress.
    """
    started = time.monotonic()
    name = settings.projection or domain.name
    with connect(settings, "resume") as conn:
        projection = read_projection(conn, name)
        lock(conn, name)
        if projection.state != "held":
            raise NotHeld(
                f"projection {name!r} is {projection.state}, it does not hold",
                where="memferry.projection",
                remedy="`memferry replay --to-end` finishes a replay that was cut short"
                if projection.state == "rebuilding"
                else "it goes on already; `memferry status` shows where it is",
            )
        position = format_offsets(checkpoint_position(conn, name).offsets)
        async with (
            Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log,
            Notices(settings, "resume listening", _CHANNELS) as notices,
        ):
            with conn.transaction():
                set_state(conn, name, "live", "")
                note(conn, "resumed", {"state": "held"}, {"projection": name, "position": position})
            now = first = await standing(conn, log, name)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    while now.applied < first.end and not now.stopped:
                        await notices.next()
                        now = await standing(conn, log, name)
                        on_progress(_progress(now, first))
    took_s = time.monotonic() - started
    return Resumed(position, first.lag, now.applied >= first.end, took_s)


def _progress(now: Standing, first: Standing) -> Progress:
    applied = now.applied - first.applied
    return Progress(applied, partitions={_ALL: PartitionProgress(now.applied, now.lag)})


def _counts(settings: Settings, name: str, domain: Domain) -> dict[str, int]:
    counts = {}
    with closing(connect(settings, "counting rows")) as conn:
        for table in domain.tables:
            statement = query("table_count").format(table=sql.Identifier(name, table))
            row = conn.execute(statement).fetchone()
            counts[table] = int(row[0]) if row else 0
    return counts
