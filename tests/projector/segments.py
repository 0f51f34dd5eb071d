"""What a projector makes of an app's log, without Kafka: segments ready to be applied."""

from typing import Any

import psycopg

from projector.apply import Applier
from projector.batch import Handler, Segment
from projector.checkpoint import Claim, claim
from projector.control_tables import Projection
from projector.lanes import LaneBook
from projector.transaction import Transactions
from schemas.domain import Domain
from schemas.lane import CONTROL_PARTITION
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, records


class Worker:
    """A claim on all partitions of a projection, and the means to apply to it."""

    def __init__(
        self, conn: psycopg.Connection[Any], projection: Projection, domain: Domain = DOMAIN
    ) -> None:
        self.claim: Claim = claim(conn, projection, "live")
        self.transactions = Transactions(
            conn, Applier(conn, projection.name, domain.tables.values()), domain, self.claim
        )
        lanes = LaneBook(projection.generation, self.claim.lanes, {"app-1"})
        self._handler = Handler(domain, lanes)

    def segments(self, app: App) -> list[Segment]:
        """Return one segment a partition: everything the app recorded behind the claim."""
        return [
            self._handler.segment(
                partition, self.claim.offsets[partition], log[self.claim.offsets[partition] :], None
            )
            for partition, log in sorted(records(app.rows(), app.settings.topic).items())
            if partition != CONTROL_PARTITION
        ]


def lanes_in(conn: psycopg.Connection[Any], projection: str) -> dict[int, int]:
    """Return the applied seq of each partition's lane, as it is stored."""
    return dict(
        conn.execute(
            "SELECT partition, seq FROM memferry.lane WHERE projection = %s", (projection,)
        ).fetchall()
    )


def offsets_in(conn: psycopg.Connection[Any], projection: str) -> dict[int, int]:
    """Return the applied offset of each partition, as it is stored."""
    return dict(
        conn.execute(
            "SELECT partition, next_offset FROM memferry.checkpoint WHERE projection = %s",
            (projection,),
        ).fetchall()
    )
