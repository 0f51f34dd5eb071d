"""The log as a whole: every record once, in the order of its lane, chained, no id twice."""

from tests.checker.event import Event, Record, read_event
from tests.checker.journal import Journal
from tests.checker.lane import Lane, LaneName
from tests.checker.streams import StreamCheck
from tests.checker.verdict import Counts, Finding


class LogCheck:
    """Takes every record of every partition, each partition in offset order.

    It uses the journal up, to keep memory bounded.
    """

    def __init__(
        self, generation: int, journal: Journal, counts: Counts, findings: list[Finding]
    ) -> None:
        self._generation = generation
        self._streams = StreamCheck(journal, counts, findings)
        self._counts = counts
        self._findings = findings
        self._lanes: dict[LaneName, Lane] = {}
        self._ids: dict[str, tuple[int, int]] = {}

    def admit(self, record: Record) -> Event | None:
        """Check one record; return its event where the tables must show it: the domain's, once."""
        self._counts.records += 1
        try:
            event = read_event(record)
        except (ValueError, RecursionError) as error:
            self._findings.append(Finding("altered", record.where, f"no event: {error}"))
            return None
        value = record.value or b""
        if not self._lane(event).admit(value, event.seq, event.epoch, event.chain, event.offset):
            return None
        first = self._ids.setdefault(event.id, (event.partition, event.offset))
        if first != (event.partition, event.offset):
            detail = f"event {event.id} stands at partition {first[0]}, offset {first[1]} already"
            self._findings.append(Finding("doubled", event.where, detail))
            return None
        if event.is_control:
            self._counts.control += 1
            return None
        self._counts.in_log += 1
        self._streams.admit(event)
        return event

    def finish(self, *, snapshot_complete: bool = True) -> None:
        """Complain of what the log does not hold; call once, behind the last record."""
        for lane in self._lanes.values():
            lane.finish()
            self._counts.resends += lane.resends
        self._streams.finish(snapshot_complete=snapshot_complete)

    def _lane(self, event: Event) -> Lane:
        name = LaneName(event.source, self._generation, event.partition)
        lane = self._lanes.get(name)
        if lane is None:
            lane = self._lanes[name] = Lane(name, self._findings)
        return lane
