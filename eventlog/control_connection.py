"""What a source must know at once: which events are applied, fences, and where reads go.

Long answers have a connection of their own (eventlog/requests.py), so that none delays a fence.
"""

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from eventlog.reads.route import ReadRoute
from eventlog.receipts import Watermark
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
    channels = ("memferry_applied", "memferry_fence", "memferry_route")

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
        if "memferry_applied" in channels:
            self._read_lanes(conn)
            self._switching.watch(conn)
        if "memferry_route" in channels:
            self._follow_route(conn)

    def tick(self, conn: "Connection") -> None:
        """Give up the fences whose leases ended."""
        self._switching.give_up_lapsed(conn)

    def _read_lanes(self, conn: "Connection") -> None:
        identity = self._ferry.identity
        for partition, seq in conn.execute(
            statement("lanes_of_source"),
            (self._projection, identity.source, identity.generation),
        ):
            if partition in self._marks:
                self._marks[partition].advance(seq)

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
