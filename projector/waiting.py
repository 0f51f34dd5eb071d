"""Waiting until the tables hold a position or an event, woken by NOTIFY: nothing is polled."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import psycopg

from projector.control_tables import connect, read_projection
from projector.notices import Notices
from projector.sql import query
from schemas.errors import FerryError
from schemas.position import PositionInvalid, format_offsets
from schemas.settings import Settings

CHANNELS = ("memferry_applied", "memferry_projection")
"""Notified by every commit of a projector, and by whatever holds or stops a projection."""


class ReceiptInvalid(FerryError):
    """What should name one event does not."""


class Look(NamedTuple):
    """What the tables showed: whether the goal is reached, else what stands in its way."""

    reached: bool
    obstacles: tuple[str, ...] = ()
    """Empty: the projector only has to go on."""


class Goal(Protocol):
    """Something that the tables will hold."""

    def look(self, conn: psycopg.Connection[Any], projection: str) -> Look:
        """Say how far the tables are from it."""


class PositionGoal:
    """Everything below these offsets (partition → first one not waited for) is in the tables."""

    def __init__(self, offsets: Mapping[int, int], *, despite_parked: bool = False) -> None:
        self._offsets = dict(offsets)
        self._despite_parked = despite_parked

    def __str__(self) -> str:
        return f"position {format_offsets(self._offsets)}"

    def look(self, conn: psycopg.Connection[Any], projection: str) -> Look:
        """Say how far the tables are; raises PositionInvalid for a partition that is not there."""
        rows = conn.execute(
            query("wait_position"),
            {
                "projection": projection,
                "partitions": list(self._offsets),
                "goals": list(self._offsets.values()),
            },
        ).fetchall()
        missing = self._offsets.keys() - {partition for _, _, partition, *_ in rows}
        if missing:
            raise _no_partition(projection, min(missing))
        parked = 0 if self._despite_parked else sum(row[5] for row in rows)
        behind = [row for row in rows if not row[3]]
        if not (behind or parked):
            return Look(reached=True)
        state, reason = rows[0][:2]
        obstacles = _of_state(projection, state, reason) if behind else []
        obstacles += [
            _stopped(partition, stopped) for _, _, partition, _, stopped, _ in behind if stopped
        ]
        if parked:
            events = "1 event" if parked == 1 else f"{parked:,} events"
            obstacles.append(f"{events} below it parked: see `memferry parked list`")
        return Look(False, tuple(obstacles))


class ReceiptGoal(NamedTuple):
    """One recorded event, by its place: its source, its partition, its number in their lane."""

    source: str
    partition: int
    seq: int
    despite_parked: bool = False

    def __str__(self) -> str:
        return f"event {self.seq} of source {self.source}, partition {self.partition}"

    def look(self, conn: psycopg.Connection[Any], projection: str) -> Look:
        """Say whether the event is in the tables; raises PositionInvalid for no such partition."""
        row = conn.execute(
            query("wait_receipt"),
            {
                "projection": projection,
                "source": self.source,
                "partition": self.partition,
                "seq": self.seq,
            },
        ).fetchone()
        if row is None:
            raise _no_partition(projection, self.partition)
        state, reason, passed, stopped, known, parked = row
        if passed and (parked is None or self.despite_parked):
            return Look(reached=True)
        if passed:
            return Look(False, (f"it is parked: {_first(parked)}; see `memferry parked list`",))
        obstacles = _of_state(projection, state, reason)
        if stopped:
            obstacles.append(_stopped(self.partition, stopped))
        if not known:
            obstacles.append(f"no source {self.source!r} is registered")
        return Look(False, tuple(obstacles))


def parse_receipt(text: str, *, despite_parked: bool = False) -> ReceiptGoal:
    """Read SOURCE:PARTITION:SEQ, such as app-1:0:4711; raises ReceiptInvalid."""
    source, _, place = text.partition(":") if text.count(":") == 2 else ("", "", "")
    partition, _, seq = place.partition(":")
    if not (source and partition.isdecimal() and seq.isdecimal() and int(seq) > 0):
        raise ReceiptInvalid(
            f"{text!r} names no event",
            where="--receipt",
            remedy="write SOURCE:PARTITION:SEQ, a receipt's own, for example app-1:0:4711",
        )
    return ReceiptGoal(source, int(partition), int(seq), despite_parked)


async def wait_until(
    settings: Settings,
    projection: str,
    goal: Goal,
    timeout_s: float | None = None,
    told: Callable[[tuple[str, ...]], None] = lambda _: None,
) -> Look:
    """Return once the tables hold the goal, or what is in its way when the time is over.

    `told` hears what stands in the way, at once and whenever that changes; waiting goes on, for
    somebody may remove it. Without `timeout_s` it waits for ever.
    Raises: ProjectionMissing, PositionInvalid; DatabaseUnreachable, also once the connection ends.
    """
    clock = asyncio.get_running_loop().time
    deadline = None if timeout_s is None else clock() + timeout_s
    conn = await asyncio.to_thread(connect, settings, f"wait {projection}")
    try:
        read_projection(conn, projection)
        # Listening comes before looking: what is committed between the two is heard.
        async with Notices(settings, f"wait {projection} notices", CHANNELS) as notices:
            obstacles: tuple[str, ...] = ()
            while True:
                look = await asyncio.to_thread(goal.look, conn, projection)
                if look.obstacles != obstacles:
                    obstacles = look.obstacles
                    told(obstacles)
                if look.reached:
                    return look
                try:
                    async with asyncio.timeout_at(deadline):
                        while (await notices.next()).payload != projection:
                            pass  # of another projection
                except TimeoutError:
                    return look
    finally:
        conn.close()


def _of_state(projection: str, state: str, reason: str) -> list[str]:
    if state == "live":
        return []
    return [f"projection {projection!r} is {state}" + (f": {reason}" if reason else "")]


def _stopped(partition: int, reason: str) -> str:
    return f"partition {partition} stopped: {_first(reason)}; see `memferry status`"


def _first(text: str) -> str:
    return text.partition("\n")[0]


def _no_partition(projection: str, partition: int) -> PositionInvalid:
    return PositionInvalid(
        f"projection {projection!r} has no partition {partition}",
        where="memferry.checkpoint",
        remedy="`memferry status` shows its partitions",
    )
