"""The voids of a source's own events, as its own lane of the control topic says."""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from eventlog.outbox.contract import OutboxIdentity, OutboxReader, OutboxRow
from schemas import envelope
from schemas.control import CONTROL_TYPE_OF, TailRestored, TailVoided, decode_control
from schemas.lane import CONTROL_PARTITION, LaneHead
from schemas.void import Void, Voids

VoidControl: TypeAlias = TailVoided | TailRestored
_TYPES = frozenset({CONTROL_TYPE_OF[TailVoided], CONTROL_TYPE_OF[TailRestored]})


class OwnVoids:
    """Which of one source's events do not count. Never changed: replaced by another."""

    def __init__(
        self,
        identity: OutboxIdentity,
        in_force: Mapping[str, Void] = MappingProxyType({}),
        restored: Mapping[str, Void] = MappingProxyType({}),
    ) -> None:
        self._identity = identity
        self.in_force = dict(in_force)
        """By id, as those that were reversed."""
        self.restored = dict(restored)
        self._voids = Voids(identity.generation, self.in_force.values())

    def __bool__(self) -> bool:
        """Say whether any event may be void."""
        return bool(self._voids)

    def with_void(self, void: Void) -> "OwnVoids":
        """Return these and one more."""
        return OwnVoids(self._identity, self.in_force | {void.id: void}, self.restored)

    def without(self, void: str) -> "OwnVoids":
        """Return these without one that is reversed."""
        left, gone = dict(self.in_force), dict(self.restored)
        gone[void] = left.pop(void)
        return OwnVoids(self._identity, left, gone)

    def covers(self, partition: int, seq: int, stream: str) -> bool:
        """Say whether an event is void."""
        return self._voids.covers(self._identity.source, partition, seq, stream)

    def counting(self, rows: Iterable[OutboxRow]) -> Iterable[OutboxRow]:
        """Return those of a source's rows that count, in their order."""
        return self._counting(rows) if self._voids else rows

    def _counting(self, rows: Iterable[OutboxRow]) -> Iterator[OutboxRow]:
        covers, source = self._voids.covers, self._identity.source
        return (row for row in rows if not covers(source, row.partition, row.seq, row.stream))

    def concerning(self, heads: Mapping[int, LaneHead]) -> set[str]:
        """Return the ids of those in force that say something of lanes up to these heads."""
        return {void.id for void in self.in_force.values() if _beyond(void, heads)}

    def concerned(self, obeyed: Iterable[str], heads: Mapping[int, LaneHead]) -> set[str]:
        """Return of some ids those that say something of lanes up to these heads.

        Of an id that is not known here it is not known, and it may.
        """
        known = self.restored | self.in_force
        return {one for one in obeyed if one not in known or _beyond(known[one], heads)}


def _beyond(void: Void, heads: Mapping[int, LaneHead]) -> bool:
    return any(p in heads and span.after < heads[p].seq for p, span in void.lanes.items())


def own_voids(identity: OutboxIdentity, control_rows: Iterable[OutboxRow]) -> OwnVoids:
    """Return what a source decided, by the rows of its own lane of the control topic."""
    found = OwnVoids(identity)
    for row in control_rows:
        event = envelope.decode(row.event)
        if event.type in _TYPES:
            found = noted(found, decode_control(event.type, event.data))
    return found


def read_own_voids(reader: OutboxReader) -> OwnVoids:
    """Return what the source of an outbox decided."""
    head = reader.heads().get(CONTROL_PARTITION)
    places = range(1, head.seq + 1) if head is not None else ()
    rows = [row for seq in places if (row := reader.at(CONTROL_PARTITION, seq)) is not None]
    return own_voids(reader.identity, rows)


def noted(voids: OwnVoids, decided: object) -> OwnVoids:
    """Return voids as they are behind a decision of their source."""
    if isinstance(decided, TailVoided):
        return voids.with_void(decided.void)
    if isinstance(decided, TailRestored) and decided.void in voids.in_force:
        return voids.without(decided.void)
    return voids
