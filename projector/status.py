"""Where everything stands: projection, partitions, lag, what is parked, sources, savepoints."""

import datetime
from typing import Any

import msgspec

from projector.control_tables import connect, read_projection
from projector.fingerprint import changed_parts
from projector.log import Log
from projector.migration.record import MigrationRecord, newest
from projector.parked import ParkedStream, parked_streams
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
    trail_intact: bool
    parked: list[ParkedStream]
    """Streams that wait behind an event which the tables could not take."""
    changed: dict[str, list[str]]
    """Kind → what of its code is not what its rows were made with."""
    voids: list[str]
    """Ids of those in force."""
    voids_not_obeyed: list[str]
    """Ids of those of which the tables say otherwise than the log: a swap must follow."""


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
            first_broken(conn) is None,
            parked_streams(conn, name),
            changed_parts(conn, name, domain),
            sorted({void.void.id for void in voids if void.restored_at is None}),
            unlike(conn, settings.topic, name, voids),
        )
    finally:
        conn.close()
