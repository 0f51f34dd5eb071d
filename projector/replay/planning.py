"""Finding out what a replay, rollback or void would do, with nothing changed by it."""

import uuid
from collections.abc import Sequence
from contextlib import closing
from typing import Any

import psycopg

from projector.checkpoint import offsets_of
from projector.control_tables import connect, read_projection
from projector.control_topic import read_control
from projector.log import Log
from projector.replay import shadow as shadows
from projector.replay.beside import drop
from projector.replay.difference import TableDifference, differences
from projector.replay.discarded import discarded
from projector.replay.opening import opened
from projector.replay.plan import Plan
from projector.replay.shadow import OnProgress
from projector.replay.target import Resolved, Target, resolve
from schemas.domain import Domain
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Settings


async def make_plan(
    settings: Settings,
    domain: Domain,
    target: Target,
    *,
    rows: bool = False,
    streams: Sequence[str] = (),
    on_progress: OnProgress = lambda _: None,
) -> Plan:
    """Return what going to a target would do; `streams`: where only their ends are set aside.

    With `rows`, tables are made beside the live ones from the whole log, compared and dropped; no
    other run may be under way then.
    Raises: what `resolve` and `discarded` raise; with `rows` ReplayInProgress, MigrationInProgress
            and ReplayIncomplete, too.
    """
    if rows:
        async with opened(settings, domain, "dry run") as work:
            resolved = await resolve(settings, work.conn, work.log, work.name, target, splits=False)
            # Of a savepoint's copy a shadow would leave nothing, so it begins with the log.
            shadow = await shadows.begin(work, str(uuid.uuid4()), resolved.position, whole=True)
            try:
                await shadows.bring(work, shadow, resolved.position, on_progress=on_progress)
                tables = differences(work.conn, domain, work.name, shadow)
            finally:
                if not work.conn.closed:
                    drop(work.conn, shadow)
            return await _plan(settings, domain, work.conn, work.log, resolved, streams, tables)
    name = settings.projection or domain.name
    with closing(connect(settings, "plan")) as conn:
        known = read_projection(conn, name)
        await read_control(conn, settings)  # for savepoints and voids
        async with Log(settings, kafka_topic(known.topic, known.generation)) as log:
            resolved = await resolve(settings, conn, log, name, target, splits=False)
            return await _plan(settings, domain, conn, log, resolved, streams, None)


async def _plan(  # noqa: PLR0917
    settings: Settings,
    domain: Domain,
    conn: psycopg.Connection[Any],
    log: Log,
    resolved: Resolved,
    streams: Sequence[str],
    tables: list[TableDifference] | None,
) -> Plan:
    name = settings.projection or domain.name
    end = {partition: end for partition, (_, end) in (await log.bounds()).items()}
    return Plan(
        name, resolved.said, format_offsets(offsets_of(conn, name)),
        format_offsets(resolved.position),
        await discarded(settings, domain, conn, resolved.position, end, streams),
        list(streams), tables,
    )  # fmt: skip
