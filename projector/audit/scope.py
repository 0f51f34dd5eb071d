"""What an audit is asked to look at, and at which position."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import psycopg

from projector.control_tables import read_projection
from projector.sql import query
from projector.waiting import Look, PositionGoal, wait_until
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import format_offsets
from schemas.settings import Settings
from schemas.tables import Table


class BarrierLate(FerryError):
    """The barrier of an audit did not reach the log or the tables in time."""


class PositionPassed(FerryError):
    """The tables are not at the position that was asked for."""


class TableUnknown(FerryError):
    """The domain has no table of that name."""


class Scope(msgspec.Struct, frozen=True):
    """What an audit looks at."""

    with_memory: bool = True
    """Without it nothing is written anywhere: no barrier, no row."""
    with_tables: bool = True
    """Without them no projector is needed."""
    tables: Sequence[str] = ()
    """Names of the tables to be compared; empty: all."""
    position: Mapping[int, int] | None = None
    """Where the tables must be: partition → next offset; None: wherever they are."""
    full: bool = False
    """Fold the log from its beginning, and read every row a second time, another way."""
    timeout_s: float = 60.0
    """Longest to wait for an app's answer, and for the tables to come to its barrier."""

    def tables_of(self, domain: Domain) -> list[Table]:
        """Return the tables to be compared; raises TableUnknown, naming those there are."""
        for name in self.tables:
            if name not in domain.tables:
                raise TableUnknown(
                    f"domain {domain.name} has no table {name!r}",
                    where="--tables",
                    remedy=f"name some of: {', '.join(sorted(domain.tables))}",
                )
        return [domain.tables[name] for name in self.tables or domain.tables]


class _Coming(PositionGoal):
    """The tables are at a position, or go there no longer: they went back, and are held."""

    def __init__(self, offsets: Mapping[int, int]) -> None:
        super().__init__(offsets, despite_parked=True)

    def look(self, conn: psycopg.Connection[Any], projection: str) -> Look:
        """Say how far the tables are."""
        if read_projection(conn, projection).state != "live":
            return Look(True)
        return super().look(conn, projection)


async def wait_for_checkpoint(
    settings: Settings,
    conn: psycopg.Connection[Any],
    projection: str,
    timeout_s: float,
    offsets: Mapping[int, int],
) -> None:
    """Return once the tables hold everything below these offsets, or are held or rebuilt.

    Raises: BarrierLate.
    """
    if (await wait_until(settings, projection, _Coming(offsets), timeout_s)).reached:
        return
    rows = conn.execute(query("checkpoint_read"), (projection,)).fetchall()
    partition, applied, stopped, *_ = next(r for r in rows if r[1] < offsets.get(r[0], 0))
    raise BarrierLate(
        f"the tables did not reach the audit's barrier: partition {partition} is at offset "
        f"{applied}, the barrier at {offsets[partition]}"
        + (f"; it stopped: {stopped.splitlines()[0]}" if stopped else ""),
        where=f"projection {projection}",
        remedy="is the projector running? start `memferry project`",
    )


def require_at(position: Mapping[int, int], found: Mapping[int, int], state: str) -> None:
    """Check that the tables are where they were asked to be; raises PositionPassed."""
    if dict(position) != dict(found):
        asked = format_offsets(position)
        raise PositionPassed(
            f"the tables are at {format_offsets(found)}, not at {asked}",
            where=f"a projection that is {state}",
            remedy=f"`memferry rollback --to-offset {asked}` holds them there; "
            "`memferry resume` goes on behind the audit",
        )
