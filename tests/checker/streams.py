"""The log against the journal, stream by stream: each acknowledgement once, in order, unchanged."""

from tests.checker.event import Event
from tests.checker.journal import Acknowledged, Journal
from tests.checker.kinds import EntityKey, entity_key
from tests.checker.values import canonical, differences, read_object
from tests.checker.verdict import Counts, Finding, FindingKind


class StreamCheck:
    """Takes the log's events, resends removed, each partition in offset order.

    It uses the journal up: what is left at the end was lost.
    """

    def __init__(self, journal: Journal, counts: Counts, findings: list[Finding]) -> None:
        self._awaited = journal.acknowledged
        self._baseline = journal.baseline
        self._counts = counts
        self._findings = findings
        self._ordinals: dict[str, Acknowledged] = {}
        self._partitions: dict[str, int] = {}
        self._mutated: set[str] = set()
        self._taken: set[EntityKey] = set()

    def admit(self, event: Event) -> None:
        """Compare one event of the domain with what the journal says of it."""
        acknowledged = self._awaited.pop(event.id, None)
        if self._partitions.setdefault(event.stream, event.partition) != event.partition:
            self._find(
                "reordered", event,
                f"the stream stands in partition {self._partitions[event.stream]} too: "
                "its order cannot be told",
            )  # fmt: skip
        if acknowledged is not None:
            self._compare(event, acknowledged)
        elif event.is_snapshot:
            self._counts.snapshots += 1
            self._compare_snapshot(event)
            return
        else:
            self._counts.unacknowledged += 1
        self._mutated.add(event.stream)

    def finish(self, *, snapshot_complete: bool) -> None:
        """Complain of what the log does not hold; call once, behind the last event."""
        for event_id, entry in self._awaited.items():
            where = f"stream {entry.stream}, partition {entry.partition}, seq {entry.seq}"
            detail = f"acknowledged event {event_id} ({entry.type}) is not in the log"
            self._findings.append(Finding("lost", where, detail))
        for entity in self._baseline:
            # The snapshot and the first mutation of a stream are recorded in one step, so where
            # there is a mutation, an unfinished snapshot is no excuse.
            if snapshot_complete or entity.stream in self._mutated:
                where = f"stream {entity.stream}, entity {'/'.join(entity.key)}"
                detail = "it was in memory at attach, and the log has no snapshot of it" + (
                    ", yet its stream has mutations" if entity.stream in self._mutated else ""
                )
                self._findings.append(Finding("lost", where, detail))

    def _compare(self, event: Event, acknowledged: Acknowledged) -> None:
        for name in ("stream", "type", "source", "partition", "seq"):
            said, found = getattr(acknowledged, name), getattr(event, name)
            if said != found:
                self._find(
                    "reordered" if name == "seq" else "altered", event,
                    f"acknowledged with {name} {said!r}, in the log it has {found!r}",
                )  # fmt: skip
        if acknowledged.data != canonical(event.data):
            change = differences(read_object(acknowledged.data), event.data)
            self._find("altered", event, f"its data is not what was acknowledged: {change}")
        newest = self._ordinals.setdefault(event.stream, acknowledged)
        if acknowledged.ordinal < newest.ordinal:
            self._find(
                "reordered", event,
                f"journal entry {acknowledged.ordinal + 1} stands in the log behind entry "
                f"{newest.ordinal + 1} (seq {newest.seq}) of the same stream",
            )  # fmt: skip
        else:
            self._ordinals[event.stream] = acknowledged

    def _compare_snapshot(self, event: Event) -> None:
        try:
            entity = entity_key(event.stream.partition("/")[0], event.data)
        except KeyError as error:
            self._find("altered", event, f"the snapshot does not say of what: {error}")
            return
        state = self._baseline.pop(entity, None)
        if entity in self._taken:
            self._find("doubled", event, "a second snapshot of the same entity")
        elif state is None:
            self._find("foreign", event, "a snapshot of what was not in memory at attach")
        elif state != canonical(event.data):
            change = differences(read_object(state), event.data)
            self._find("altered", event, f"the snapshot is not what memory held: {change}")
        self._taken.add(entity)
        if event.stream in self._mutated:
            self._find("reordered", event, "the snapshot stands behind a mutation of its stream")

    def _find(self, kind: FindingKind, event: Event, detail: str) -> None:
        self._findings.append(Finding(kind, event.where, f"event {event.id}: {detail}"))
