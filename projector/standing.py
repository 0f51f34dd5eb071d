"""How far a projection is behind its log, in Kafka's offsets."""

from typing import Any, NamedTuple

import psycopg

from projector.log import Log
from projector.sql import query


class Standing(NamedTuple):
    """Offsets added up over the partitions; `stopped` says why a partition goes no further."""

    applied: int
    end: int
    stopped: dict[int, str]

    @property
    def lag(self) -> int:
        """Records that the log holds and the tables do not."""
        return max(0, self.end - self.applied)


async def standing(conn: psycopg.Connection[Any], log: Log, projection: str) -> Standing:
    """Return where a projection stands now."""
    rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
    bounds = await log.bounds()
    return Standing(
        sum(next_offset for _, next_offset, *_ in rows),
        sum(end for _, end in bounds.values()),
        {partition: stopped for partition, _, stopped, *_ in rows if stopped},
    )
