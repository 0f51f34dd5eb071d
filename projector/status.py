"""Where everything stands: projection, partitions, lag, what is parked, sources, savepoints."""

import datetime
from typing import Any

import msgspec
import psycopg

from projector.checkpoint import offsets_of
from projector.control_tables import connect, read_projection
from projector.fingerprint import changed_parts
from projector.log import Log
from projector.migration.record import MigrationRecord, newest
from projector.parked import ParkedStream, parked_streams
from projector.replay.beside import Beside, beside_of
from projector.replay.runs import Run, newest_run
from projector.replay.savepoints import Savepoint, list_all
from projector.route import ReadRoute, read_route
from projector.sql import query
from projector.trail import first_broken
from projector.voids import list_voids, unlike
from schemas.domain import Domain
from schemas.position import kafka_topic
from schemas.settings import Settings


class PartitionStatus(msgspec.Struct):
    """One partition of a projection; offsets are Kafka's, `next_offset` the first not applied."""

    partition: int
    next_offset: int
    end_offset: int
    lag: int
    stopped: str
    holder: str
    updated_at: datetime.datetime


class SourceStatus(msgspec.Struct):
    """One registered source."""

    name: str
    snapshot_at: datetime.datetime | None
    retired_at: datetime.datetime | None


class RunStatus(msgspec.Struct):
    """A replay, rollback or void: the one that runs, else the last."""

    run: Run
    alive: bool
    """Whether a process works on the projection; one that died is finished or undone by the next.
    """
    making: dict[int, int]
    """Where the tables are that a running one makes beside: partition → the first not applied."""


class Status(msgspec.Struct):
    """Everything `memferry status` shows."""

    projection: str
    state: str
    reason: str
    partitions: list[PartitionStatus]
    sources: list[SourceStatus]
    savepoints: list[Savepoint]
    route: ReadRoute
    migration: MigrationRecord | None
    """The running one, else the last."""
    replay: RunStatus | None
    beside: list[Beside]
    """Tables that stand beside the live ones: being made, swapped out, or kept at a savepoint."""
    trail_intact: bool
    parked: list[ParkedStream]
    """Streams that wait behind an event which the tables could not take."""
    changed: dict[str, list[str]]
    """Kind → what of its code is not what its rows were made with."""
    voids: list[str]
    """Ids of those in force."""
    voids_not_obeyed: list[str]
    """Ids of those of which the tables say otherwise than the log: a swap must follow."""


def _read_run(conn: psycopg.Connection[Any], name: str, beside: list[Beside]) -> RunStatus | None:
    run = newest_run(conn, name)
    if run is None:
        return None
    shadows = [one for one in beside if one.purpose == "shadow" and one.run == run.id]
    row = conn.execute(query("replay_runs"), (name,)).fetchone()
    making = offsets_of(conn, shadows[0].name) if shadows and run.state == "running" else {}
    return RunStatus(run, bool(row and row[0]), making)


async def read_status(settings: Settings, domain: Domain) -> Status:
    """Return the present status; raises where Kafka or PostgreSQL cannot be reached."""
    name = settings.projection or domain.name
    conn = connect(settings, "status")
    try:
        projection = read_projection(conn, name)
        async with Log(settings, kafka_topic(projection.topic, projection.generation)) as log:
            bounds = await log.bounds()
        rows: list[Any] = conn.execute(query("checkpoint_read"), (name,)).fetchall()
        voids = list_voids(conn, settings.topic)
        beside = beside_of(conn, name)
        return Status(
            name,
            projection.state,
            projection.reason,
            [
                PartitionStatus(
                    p, offset, bounds[p][1], max(0, bounds[p][1] - offset), stopped, holder, at
                )
                for p, offset, stopped, holder, at, _ in rows
            ],
            [
                SourceStatus(*row)
                for row in conn.execute(query("sources_read"), (settings.topic,)).fetchall()
            ],
            list_all(conn, name),
            read_route(conn, name),
            newest(conn, name),
            _read_run(conn, name, beside),
            beside,
            first_broken(conn) is None,
            parked_streams(conn, name),
            changed_parts(conn, name, domain),
            sorted({void.void.id for void in voids if void.restored_at is None}),
            unlike(conn, settings.topic, name, voids),
        )
    finally:
        conn.close()
