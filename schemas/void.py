"""Voids: ends of streams that no longer count, by a decision of the source that wrote them.

A source decides for its own lanes, in one transaction of its outbox: a `TailVoided` in its lane of
the control topic, and a mark in every data lane. What stands between a lane's last event that
counts and the mark is void, in the streams that are named. A `TailRestored`, with marks of its own,
reverses it. Seq and chain of void events advance their lane; nothing else of them counts.
Source: docs/decisions/0029-voids-are-the-sources-own.md
"""

from collections.abc import Collection, Iterable

import msgspec

from schemas.errors import FerryError


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Of one lane: the last seq that counts before, and the seq of the mark behind."""

    after: int
    mark: int


class Void(msgspec.Struct, frozen=True):
    """One source's part of a void. The parts of all sources bear one id."""

    id: str
    source: str
    generation: int
    lanes: dict[int, Span]
    """Partition → what is void there, if it is of these streams."""
    streams: tuple[str, ...] = ()
    """Names of streams; empty: all."""


OPEN_END = 2**63 - 1
"""The mark of a void that is prepared: everything behind `after` is void."""


class VoidNotObeyed(FerryError):
    """A mark says that events are void, or count again, which were taken for the contrary."""


class Voids:
    """The voids that one reader of a topic generation obeys, looked up by event.

    `restored` are ids that were reversed, and that the reader does not obey: it may pass their
    marks.
    """

    def __init__(
        self,
        generation: int,
        obeyed: Iterable[Void] = (),
        restored: Collection[tuple[str, str]] = (),
    ) -> None:
        self._spans: dict[tuple[str, int], list[tuple[int, int, frozenset[str]]]] = {}
        self.obeyed: set[tuple[str, str]] = set()
        """(id, source) of each."""
        self.restored = set(restored)
        self.parts: list[Void] = []
        """What is obeyed."""
        self.open: set[tuple[str, str]] = set()
        """(id, source) of those that are prepared: a reader must learn where they end."""
        for void in obeyed:
            if void.generation != generation:
                continue
            self.obeyed.add((void.id, void.source))
            self.parts.append(void)
            if any(span.mark == OPEN_END for span in void.lanes.values()):
                self.open.add((void.id, void.source))
            for partition, span in void.lanes.items():
                self._spans.setdefault((void.source, partition), []).append(
                    (span.after, span.mark, frozenset(void.streams))
                )
        self.lanes = frozenset(self._spans)
        """(source, partition) of those with void events: others need no look."""

    def __bool__(self) -> bool:
        """Say whether any event may be void."""
        return bool(self._spans)

    def covers(self, source: str, partition: int, seq: int, stream: str) -> bool:
        """Say whether an event is void."""
        return any(
            after < seq < mark and (not streams or stream in streams)
            for after, mark, streams in self._spans.get((source, partition), ())
        )

    def touches(self, source: str, partition: int, seq: int) -> bool:
        """Say whether a place of a lane is within a void, of whatever streams."""
        return any(
            after < seq <= mark for after, mark, _ in self._spans.get((source, partition), ())
        )

    def require(self, void: str, source: str, *, reversing: bool) -> None:
        """Check that a mark says what this reader does; `reversing` of one that lifts a void.

        Raises: VoidNotObeyed. Where the mark stands is the caller's to add.
        """
        place = (void, source)
        if reversing:
            if place not in self.obeyed:
                return
            what = f"events that void {void} took away count again from here on"
        elif place in self.open:
            what = f"void {void} ends here, and what is behind was to be taken for void, too"
        else:
            if place in self.obeyed or place in self.restored:
                return
            what = f"events before this one are void by {void}, and were applied"
        raise VoidNotObeyed(
            what,
            where=f"source {source}",
            remedy="a rollback that is under way swaps the tables in a moment; otherwise "
            "`memferry replay --to-end` makes them anew",
        )
