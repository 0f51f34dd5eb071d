"""Rows, lanes and checkpoint in one transaction; what cannot be applied is parked in it."""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, partial
from itertools import chain
from time import perf_counter
from typing import Any, NamedTuple

import psycopg

from projector.apply import Applier
from projector.batch import Item, Recorded, Segment
from projector.checkpoint import Claim, advance, hold
from projector.effects import Effects
from projector.fold import ChangeRefused, Fold
from projector.lanes import open_record
from projector.parking import ParkedRecord, Parking, Waiting, parked_of, refusal_of, settle_retry
from projector.sql import query
from projector.stages import Stages
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneHead, LaneId

_RETRIES = 5
_REFUSALS = (
    ChangeRefused, psycopg.DataError, psycopg.IntegrityError,
    psycopg.errors.CardinalityViolation,  # two keys that are one to PostgreSQL only
    psycopg.errors.RaiseException,  # a trigger's
    psycopg.errors.ProgramLimitExceeded,  # a row that no index takes, say: not a passing trouble
)  # fmt: skip


class Retried(NamedTuple):
    """What became of a stream's parked events: how many were applied, how many stay, and why."""

    applied: int
    left: int
    reason: str


class Folded(NamedTuple):
    """Events that were folded without anything odd about them: what one transaction applies."""

    offsets: dict[int, tuple[int, int, str]]
    """As `advance` takes them."""
    heads: dict[LaneId, LaneHead]
    fold: Fold
    events: int
    """That are in the fold."""
    behind: list[Recorded]
    """Of streams that wait already."""


class Transactions:
    """Applies segments, moving the claim's offsets and lanes with what is committed.

    `applied` counts the events whose effect is committed, `parked` those put aside.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        applier: Applier,
        domain: Domain,
        claim: Claim,
        stages: Stages | None = None,
    ) -> None:
        self._conn = conn
        self._stages = stages or Stages()
        self._applier = applier
        self._domain = domain
        self._tables = tuple(domain.tables.values())
        self._claim = claim
        self._waiting = Waiting(conn, claim)
        self.applied = 0
        self.parked = 0

    @cached_property
    def _effects(self) -> Effects:
        """Of parked events: to make its decoders takes milliseconds, and few claims retry."""
        return Effects(self._domain)

    def apply_folded(self, folded: Folded) -> bool:
        """Commit what was folded already, at once or not at all: False where the tables refuse it.

        What is behind in its stream is parked with it. Raises: Fenced, psycopg.OperationalError.
        """
        parking = Parking(self._claim.projection.generation, self._waiting.of(folded.offsets))
        behind = parking.free([(record, ()) for record in folded.behind])
        assert not behind  # noqa: S101  (their streams wait)
        counted, begun = self._stages.applying, perf_counter()
        try:
            with self._conn.transaction():
                advance(self._conn, self._claim, folded.offsets, folded.heads.items())
                self._applier.apply(folded.fold)
                parking.keep(self._conn, self._claim.projection.name)
        except (
            *_REFUSALS, psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure
        ):  # fmt: skip
            return False
        self._stages.commit += perf_counter() - begun - (self._stages.applying - counted)
        for partition, (_, new, _) in folded.offsets.items():
            self._claim.offsets[partition] = new
        self._claim.lanes.update(folded.heads)
        self.parked += len(parking.events)
        self.applied += folded.events
        return True

    @property
    def waiting(self) -> dict[str, int]:
        """The streams that wait behind a parked event, each with its partition."""
        return self._waiting.streams

    def apply(self, segments: Sequence[Segment]) -> list[tuple[Segment, FerryError]]:
        """Commit segments; return those that stopped, each with its reason.

        Events that cannot be applied, and those behind them in their streams, are parked.
        Raises: Fenced, or psycopg.OperationalError where the outcome is unknown.
        """
        offsets = {
            s.partition: (s.old_offset, s.new_offset, s.tail)
            for s in segments
            if s.new_offset > s.old_offset
        }
        if offsets:
            self._advance(segments, offsets)
        return [(segment, segment.stopped) for segment in segments if segment.stopped]

    def _advance(
        self, segments: Sequence[Segment], offsets: dict[int, tuple[int, int, str]]
    ) -> None:
        heads = {lane: head for segment in segments for lane, head in segment.heads.items()}

        def work(parking: Parking, apply: Callable[[list[Item], Parking], None]) -> None:
            # The claim is tested first: a zombie fails before it touches a table.
            advance(self._conn, self._claim, offsets, heads.items())
            items = [item for s in segments for item in parking.without_refused(s.items, s.refused)]
            apply(items, parking)
            parking.settle()
            parking.keep(self._conn, self._claim.projection.name)

        try:
            parking = self._commit(partial(work, apply=self._apply_all), offsets)
        except _REFUSALS:
            parking = self._commit(partial(work, apply=self._apply_or_park), offsets)
        for partition, (_, new, _) in offsets.items():
            self._claim.offsets[partition] = new
        self._claim.lanes.update(heads)
        parked = len(parking.events)
        self.parked += parked
        self.applied += sum(len(segment.items) for segment in segments) - parked

    def _commit(self, work: Callable[[Parking], None], partitions: Iterable[int]) -> Parking:
        """Do work in a transaction, again where another one was in its way; return what it parked.

        Its time that no other stage counts is the commit's.
        """
        generation = self._claim.projection.generation
        for attempt in range(_RETRIES):
            parking = Parking(generation, self._waiting.of(partitions))
            counted, begun = self._stages.applying, perf_counter()
            try:
                with self._conn.transaction():
                    work(parking)
                break
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == _RETRIES - 1:
                    raise
        self._stages.commit += perf_counter() - begun - (self._stages.applying - counted)
        self._waiting.committed(parking)
        return parking

    def _apply_all(self, items: list[Item], parking: Parking) -> None:
        self._applier.apply(self._fold(items))

    def _fold(self, items: Iterable[Item]) -> Fold:
        begun = perf_counter()
        fold = Fold(self._tables)
        try:
            fold.add_all(chain.from_iterable([changes for _, changes in items]))
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            what = f"a handler's change fits no table: {error!r}"
            raise ChangeRefused(what, "unknown", ()) from error
        self._stages.fold += perf_counter() - begun
        return fold

    def _apply_or_park(self, items: list[Item], parking: Parking) -> None:
        """Apply items, halving where the tables refuse: one bad event costs log2(n) attempts."""
        if not items:
            return
        try:
            with self._conn.transaction():  # a savepoint
                self._conn.execute(query("constraints_deferred"))
                self._applier.apply(self._fold(items))
                self._conn.execute(query("constraints_immediate"))
                self._applier.clear()
        except _REFUSALS as error:
            if len(items) == 1:
                parking.refuse(items[0][0], *refusal_of(error))
                return
            middle = len(items) // 2
            self._apply_or_park(items[:middle], parking)
            self._apply_or_park(parking.free(items[middle:]), parking)

    def retry(self, stream: str) -> Retried:
        """Apply a stream's parked events with today's handlers, in their order.

        The first that is refused again stays with its new reason, and all behind it. Not for two
        threads: it belongs to the one that applies.
        Raises: Fenced, or psycopg.OperationalError where the outcome is unknown.
        """
        partition = self._waiting.streams.get(stream)
        if partition is None:
            return Retried(0, 0, "nothing of it is parked")
        records: list[ParkedRecord] = []

        def work(parking: Parking) -> None:
            hold(self._conn, self._claim, partition)
            parking.streams.pop(stream, None)
            records[:] = parked_of(self._conn, self._claim, stream, partition)
            self._apply_or_park(self._handled(records, parking), parking)
            parking.settle()
            parking.events.sort(key=lambda event: event.offset)
            settle_retry(self._conn, self._claim.projection.name, records, parking)

        parking = self._commit(work, [partition])
        applied, left = len(records) - len(parking.events), parking.events
        if not left:
            del self._waiting.streams[stream]
        self.applied += applied
        return Retried(applied, len(left), left[0].reason if left else "")

    def _handled(self, records: Iterable[ParkedRecord], parking: Parking) -> list[Item]:
        items: list[Item] = []
        refused: dict[int, FerryError] = {}
        for record in records:
            _, event, _ = open_record(record)
            try:
                items.append((record, self._effects.of(event)))
            except FerryError as error:
                items.append((record, ()))
                refused[record.offset] = error
        return parking.without_refused(items, refused)
