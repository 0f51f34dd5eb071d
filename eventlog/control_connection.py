"""What a source must know at once: which events are applied, fences, and where reads go.

Long answers have a connection of their own (eventlog/requests.py), so that none delays a fence.
"""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from eventlog.parked import ParkedStream
from eventlog.reads.route import ReadRoute
from eventlog.receipts import AppliedEnded, AppliedHeld, AppliedStopped, Watermark
from eventlog.recorder import Recorder
from eventlog.switching import Switching
from schemas.settings import Settings
from schemas.sql import statement

if TYPE_CHECKING:
    from eventlog.listener import Connection

log = logging.getLogger("memferry.control")


class ControlConnection:
    """A listener's duty on behalf of one source: `applied` marks, fences, the read route."""

    name = "shim"
    channels = ("memferry_applied", "memferry_projection", "memferry_fence", "memferry_route")

    def __init__(self, ferry: Recorder, settings: Settings, route: ReadRoute) -> None:
        self._ferry = ferry
        self._projection = settings.projection or ferry.domain.name
        self._marks = {p: Watermark() for p in range(ferry.identity.partitions)}
        self._switching = Switching(ferry, self._projection, self._marks)
        self._route = route
        self._followed = 0
        ferry.promises.serve_applied(self._marks)

    def begin(self, conn: "Connection") -> None:
        """Catch up with everything that happened without this connection."""
        self._followed = 0
        self.hear(conn, self.channels)

    def hear(self, conn: "Connection", channels: Collection[str]) -> None:
        """Fences first: writers stand still meanwhile."""
        if "memferry_fence" in channels:
            self._switching.look(conn)
        if "memferry_applied" in channels or "memferry_projection" in channels:
            self._read_applied(conn)
            self._switching.watch(conn)
        if "memferry_route" in channels:
            self._follow_route(conn)

    def tick(self, conn: "Connection") -> None:
        """Give up the fences whose leases ended; learn what the outbox need not keep."""
        self._switching.give_up_lapsed(conn)
        self._ferry.pruning.ask(conn, self._ferry.identity)

    def _read_applied(self, conn: "Connection") -> None:
        """Move the marks to the lanes' heads, and end the waits that nothing would end."""
        identity = self._ferry.identity
        own = {
            "projection": self._projection,
            "source": identity.source,
            "generation": identity.generation,
        }
        rows = conn.execute(statement("applied_of_source"), own).fetchall()
        # Read behind the heads and told before them: no mark passes an event that is parked unseen.
        parked = conn.execute(statement("applied_parked"), own) if rows and rows[0][-1] else ()
        self._ferry.promises.parked.tell(ParkedStream(*row) for row in parked)
        for partition, seq, state, reason, stopped, _ in rows:
            mark = self._marks.get(partition)
            if mark is None:
                continue
            mark.set_back(seq)  # a replay empties the tables, and their lanes with them
            mark.advance(seq)
            ended = self._ended(partition, state, reason, stopped)
            if ended is not None:
                mark.fail(ended)
            else:
                mark.mend()

    def _ended(self, partition: int, state: str, reason: str, stopped: str) -> AppliedEnded | None:
        if state != "live":
            return AppliedHeld(
                f"projection {self._projection!r} is {state}" + (f": {reason}" if reason else ""),
                where=f"projection {self._projection}",
                remedy="the event is in the log; `memferry resume` lets a held projection go on, "
                "`memferry status` shows how far a replay is",
            )
        if stopped:
            what, _, rest = stopped.partition("\n")
            return AppliedStopped(
                f"partition {partition} stopped: {what}",
                where=rest.strip().partition("\n")[0].removeprefix("where: "),
                remedy="the event is in the log; `memferry status` says how to mend its partition",
            )
        return None

    def _follow_route(self, conn: "Connection") -> None:
        row = conn.execute(statement("route_read"), (self._projection,)).fetchone()
        if row is None or row[2] <= self._followed:
            return
        route, _, decision, *_ = row
        if not self._route.set(route, decision):
            return  # the database is an older copy: what it knew later is still followed
        conn.execute(
            statement("route_followed"),
            {"projection": self._projection, "source": self._ferry.source, "decision": decision},
        )
        self._followed = decision
        log.info("reads go to %s", route)
