"""What an audit must know before it reads the log: sources, mends, and what is void.

The control topic has a void before the log has its marks. So whoever has read the control topic and
comes by a mark that contradicts it knows that something was decided since, and begins anew.
"""

import time
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg

from projector.control_tables import Projection, read_projection
from projector.control_topic import read_control
from projector.mends import read_mends
from projector.sql import query
from projector.voids import Place, VoidRecord, in_force, list_voids, obeyed_by, unlike
from projector.waiting import Look, wait_until
from schemas.errors import FerryError
from schemas.mend import Mend
from schemas.settings import Settings
from schemas.void import Voids


class VoidsMoved(FerryError):
    """What is void, or obeyed by the tables, changed while witnesses were compared."""


class Known(msgspec.Struct, frozen=True):
    """The control topic at one moment, and the voids that the tables obeyed then."""

    sources: set[str]
    mends: tuple[Mend, ...]
    records: list[VoidRecord]
    in_force: Voids
    """What log and memory obey."""
    obeyed: Voids
    """What the tables obey."""
    unlike: list[str]
    """Ids of the voids of which the tables say otherwise than the log."""

    @property
    def ids(self) -> list[str]:
        """Of the voids in force."""
        return sorted({name for name, _ in self.in_force.obeyed})

    def is_as(self, other: "Known") -> bool:
        """Say whether the same is void by both, and obeyed by the tables."""
        mine, its = self.in_force, other.in_force
        return (mine.obeyed, mine.restored, self.obeyed.obeyed, self.unlike) == (
            its.obeyed, its.restored, other.obeyed.obeyed, other.unlike
        )  # fmt: skip

    def require_obeyed(
        self, conn: psycopg.Connection[Any], projection: str, obeyed: set[Place]
    ) -> None:
        """Check that tables, in the snapshot that `conn` has, obey what they did; VoidsMoved."""
        now = unlike(conn, "", projection, self.records)
        if (obeyed, now) != (self.obeyed.obeyed, self.unlike):
            raise VoidsMoved(
                "other voids are obeyed by the tables than a moment ago",
                where=f"projection {projection}",
                remedy="audit again",
            )


async def know(
    conn: psycopg.Connection[Any], settings: Settings, projection: Projection, *, keep: bool
) -> Known:
    """Read the control topic; without `keep` the tables stay as they are."""
    topic, generation, name = settings.topic, projection.generation, projection.name
    found: list[Any] = []

    def look() -> None:
        found.extend(
            (
                read_mends(conn, topic),
                list_voids(conn, topic),
                in_force(conn, topic, generation),
                obeyed_by(conn, topic, generation, name),
                unlike(conn, topic, name),
            )
        )

    sources = await read_control(conn, settings, keep=keep, look=look)
    return Known(sources, *found)


async def wait_for_swap(
    settings: Settings, projection: str, records: Sequence[VoidRecord], deadline: float
) -> None:
    """Return once the tables obey what is void, or nobody is about to have them do so.

    Where a run has died the tables stay as they are until the next one.
    Raises: VoidsMoved where the run that is under way does not come to it in time.
    """
    timeout_s = max(0.0, deadline - time.monotonic())
    look = await wait_until(settings, projection, _Obeying(records), timeout_s)
    if not look.reached:
        raise VoidsMoved(
            "what is void in the log is still in the tables: a rollback goes on",
            where=f"projection {projection}",
            remedy="audit again once it has ended; `memferry status` shows how far it is",
        )


class _Obeying:
    """Rows obey what is void, or no run is under way that has them do so."""

    def __init__(self, records: Sequence[VoidRecord]) -> None:
        self._records = records

    def look(self, conn: psycopg.Connection[Any], projection: str) -> Look:
        """Say whether there is anything to wait for."""
        if not unlike(conn, "", projection, self._records):
            return Look(True)
        row = conn.execute(query("replay_runs"), (projection,)).fetchone()
        if not (row and row[0]) or read_projection(conn, projection).state == "held":
            return Look(True)
        return Look(False, ("the tables are about to be exchanged",))
