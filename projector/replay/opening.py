"""What every run begins with: the only one on its projection, with the control topic read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from typing import Any, NamedTuple

import msgspec
import psycopg

from projector.control_tables import Projection, connect, establish
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.log import Log
from projector.migration.record import lock
from projector.replay.runs import lock_runs
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings


class Work(NamedTuple):
    """What a run works with; `conn` is in autocommit and holds the locks of the only run."""

    settings: Settings
    domain: Domain
    conn: psycopg.Connection[Any]
    log: Log
    projection: Projection

    @property
    def name(self) -> str:
        """Of the projection."""
        return self.projection.name

    def settings_of(self, beside: str) -> Settings:
        """Return settings with which tables beside are worked on."""
        return msgspec.structs.replace(self.settings, projection=beside)

    async def end(self) -> Mapping[int, int]:
        """Return the log's present end: partition → exclusive offset."""
        return {partition: end for partition, (_, end) in (await self.log.bounds()).items()}


@asynccontextmanager
async def opened(settings: Settings, domain: Domain, role: str) -> AsyncIterator[Work]:
    """Be the only run on a projection, with all that the control topic says in its tables.

    Raises: ReplayInProgress, MigrationInProgress; ProjectionMismatch; DatabaseUnreachable,
            BrokerUnreachable.
    """
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        with closing(connect(settings, role)) as conn:
            projection = establish(conn, settings, domain, log.partitions, renewing=True)
            lock_runs(conn, projection.name)
            lock(conn, projection.name)
            await read_control(conn, settings)
            await publish_decisions(conn, settings)
            yield Work(settings, domain, conn, log, projection)
