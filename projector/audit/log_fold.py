"""The first witness: the log alone, folded by the kinds' `evolve`, with no handler and no table."""

import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec

from projector.audit.duplicates import Duplicates
from projector.audit.fold_failure import FoldFailed, failure, failure_at
from projector.audit.fold_reuse import begin
from projector.audit.fold_state import FoldState
from projector.audit.fold_state import Step as Moved
from projector.audit.fold_store import FoldStore, Step
from projector.lanes import ForeignSource, LaneBook
from projector.log import Log, LogChanged, OffsetsGone
from schemas import envelope
from schemas.control import CONTROL_PREFIX, BarrierPlaced, RolledBack, RolledForward, decode_control
from schemas.domain import Domain
from schemas.envelope import Envelope
from schemas.errors import FerryError
from schemas.lane import LaneCheck, LaneHead, LaneId
from schemas.mend import Mend
from schemas.void import Voids

_FETCH = 10_000
_WAIT_MS = 200
_UNWRITTEN_MOST = 20_000
"""Changed entities that are kept in memory before they are written."""
_LESS = 5
"""How many times less of both is kept by who wants entities alone: levels need memory beside it."""
OnBarrier = Callable[[BarrierPlaced, str, int, LaneHead], None]
Learn = Callable[[], Awaitable[Collection[str]]]
OnBroken = Callable[[int, FerryError], bool]


class LogSilent(FerryError):
    """Kafka holds records that it does not give."""


def _nobody(_: BarrierPlaced, source: str, partition: int, head: LaneHead) -> None:
    """Nobody asked for barriers."""


def _unwatched(*_: Any) -> None:
    """Nobody asked for events."""


async def _none() -> Collection[str]:
    return ()


def _ends(_: int, error: FerryError) -> bool:
    return False


class LogFold:
    """The state that the log gives, partition by partition, as far as it was read.

    With a store it goes on from where an earlier fold of the same log by the same code ended. A
    `whole` one, from the beginning, proves of every duplicate that it is one. What is void by
    `voids` moves its lane, and nothing else.
    """

    def __init__(
        self,
        domain: Domain,
        generation: int,
        sources: Collection[str],
        mends: Iterable[Mend] = (),
        store: FoldStore | None = None,
        *,
        voids: Voids | None = None,
        summed: bool = True,
        whole: bool = False,
    ) -> None:
        self._store = store or FoldStore(None)
        self._at_once = (_FETCH, _UNWRITTEN_MOST)
        if not summed:
            self._at_once = (_FETCH // _LESS, _UNWRITTEN_MOST // _LESS)
        mends = tuple(mends)
        self._voids = Voids(generation) if voids is None else voids
        numbers = begin(self._store, domain, generation, mends, self._voids.parts)
        places = self._store.places()
        self.offsets: dict[int, int] = {p: offset for p, (offset, _) in places.items()}
        """Partition → the next offset to be read."""
        self._tails = {p: tail for p, (_, tail) in places.items() if tail}
        self.tables = frozenset(domain.tables)
        self.state = FoldState(domain, self._store, numbers, summed=summed)
        self.state.write = self.commit
        heads = {
            LaneId(source, generation, p): head for (source, p), head in self._store.lanes().items()
        }
        self._lanes = LaneBook(generation, heads, sources, mends, self._voids)
        self.failures: dict[str, FoldFailed] = {
            stream: failure(what, where) for stream, (what, where) in self._store.failures().items()
        }
        """Streams with an event that does not fold: their rows stay as they were before it."""
        self._failed: dict[str, tuple[str, str]] = {}
        self._last: dict[int, Any] = {}
        self._moved: dict[tuple[str, int], LaneCheck] = {}
        self.marks: dict[tuple[str, int], bytes] = {}
        """What is to be noted of lanes with the next commit."""
        self.events = 0
        self.duplicates = Duplicates(prove=whole)
        self._partitions = 1
        self.on_barrier: OnBarrier = _nobody
        """Told of each barrier: what it says, its source and partition, its lane's head."""
        self.on_mark: Callable[[str, int], object] = _unwatched
        """Told of each mark of a void: its source and partition."""
        self.on_step: Callable[[Any, Moved], object] = _unwatched
        """Told of each event that was read: its record, and what it did."""
        self.on_unread: Callable[[Any, Envelope, Exception], object] = _unwatched
        """Told of each event that could not be read."""
        self.learn_sources: Learn = _none
        """Asked for the registered sources where a record's is not known: one may be new."""

    def heads(self) -> dict[LaneId, LaneHead]:
        """Return the head of each lane, as far as it was read."""
        return self._lanes.heads()

    def is_ahead(self, offsets: Mapping[int, int]) -> bool:
        """Say whether it has read beyond a position: it cannot go back."""
        return any(self.offsets.get(p, 0) > offset for p, offset in offsets.items())

    def known_marks(self) -> dict[tuple[str, int], bytes]:
        """Return what was noted of lanes so far."""
        return self._store.marks()

    def close(self) -> None:
        """Give the store back."""
        self._store.close()

    async def read(
        self,
        log: Log,
        partitions: Iterable[int],
        done: Callable[[int], bool],
        patience_s: float = 60.0,
        on_broken: OnBroken = _ends,
    ) -> None:
        """Fold partitions onwards, each until `done(partition)` says so, asked before every record.

        A partition with a record that is not admitted is left there, where `on_broken` says so.
        Raises: LaneBroken, RecordRefused, LogChanged, naming the place; LogSilent where something
                is still to be read and the log gave no record for `patience_s`; VoidNotObeyed at a
                mark of which `voids` does not know: what was folded may be void.
        """
        heard = time.monotonic()
        self._partitions = log.partitions
        todo = {p for p in partitions if not done(p)}
        todo -= await self._start(log, todo, on_broken)
        fetched_most, unwritten_most = self._at_once
        while todo:
            found = await log.fetch(fetched_most, _WAIT_MS)
            now = time.monotonic()
            if found:
                heard = now
            elif now - heard > patience_s:
                raise LogSilent(
                    f"the log gave nothing for {patience_s} s",
                    where=f"topic {log.topic}, partitions {sorted(todo)}",
                    remedy="look at Kafka, and audit again",
                )
            for partition, records in found.items():
                try:
                    for record in records:
                        if done(partition):
                            break
                        self._fold(record)
                except FerryError as error:
                    if isinstance(error, ForeignSource) and await self._learned(error):
                        log.seek(partition, self.offsets.get(partition, 0))
                        continue
                    if not on_broken(partition, error):
                        raise
                    todo.discard(partition)
                    log.leave(partition)
            for partition in [p for p in todo if done(p)]:
                todo.discard(partition)
                log.leave(partition)
            if self.state.unwritten >= unwritten_most:
                self.commit()

    async def _learned(self, error: ForeignSource) -> bool:
        self._lanes.sources |= set(await self.learn_sources())
        return error.lane.source in self._lanes.sources

    async def _start(self, log: Log, todo: set[int], on_broken: OnBroken) -> set[int]:
        """Begin to read; return the partitions that are not what was read before."""
        broken: set[int] = set()
        while True:
            left = {p: self.offsets.get(p, 0) for p in todo - broken}
            tails = {p: self._tail(p) for p in left if self._tail(p)}
            try:
                await log.start_at(left, tails)
            except LogChanged as error:
                if not on_broken(error.partition, error):
                    raise
                broken.add(error.partition)
            else:
                return broken

    def _tail(self, partition: int) -> str:
        """Return the SHA-256 of the newest record that was read; empty where none was."""
        last = self._last.get(partition)
        return self._tails.get(partition, "") if last is None else _tail(last)

    async def read_to(
        self, log: Log, until: Mapping[int, int], on_broken: OnBroken = _ends
    ) -> None:
        """Fold each partition up to its offset in `until`, exclusive.

        A partition that ends below it is broken.
        """
        bounds = await log.bounds()
        goals = {p: min(offset, bounds[p][1]) for p, offset in until.items()}
        await self.read(
            log, goals, lambda p: self.offsets.get(p, 0) >= goals[p], on_broken=on_broken
        )
        for partition, (first, end) in bounds.items():
            if end < until.get(partition, 0):
                what = (
                    f"the partition holds {first} to {end}, and was read up to {until[partition]}"
                )
                if not on_broken(partition, gone := OffsetsGone(what, log.topic, partition)):
                    raise gone

    def _fold(self, record: Any) -> None:
        seen = self._lanes.duplicates
        admitted = self._lanes.admit(record)
        if admitted is None:
            if self._lanes.duplicates != seen:
                self.duplicates.note(record, self._partitions)
            self._passed(record)
            return
        event, check = admitted
        if self.duplicates.proving:
            self.duplicates.keep(event.source, record.partition, check.head)
        control = None
        if event.type.startswith(CONTROL_PREFIX):
            try:
                control = decode_control(event.type, event.data)
            except (KeyError, msgspec.MsgspecError) as error:
                raise failure_at(error, check, record) from error
        elif self._counts(event, check):
            refused = self._move(event, record)
            if refused is not None:
                failed = self.failures[event.subject] = failure_at(refused, check, record)
                failed.__cause__ = refused
                self._failed[event.subject] = (failed.what, failed.where)
        self.events += 1
        self._moved[event.source, record.partition] = check
        self._passed(record)
        if isinstance(control, BarrierPlaced):
            self.on_barrier(control, event.source, record.partition, check.head)
        elif isinstance(control, RolledBack | RolledForward):
            self.on_mark(event.source, record.partition)

    def _counts(self, event: Envelope, check: LaneCheck) -> bool:
        """Say whether an event is folded: neither void, nor behind one that did not fold."""
        if event.subject in self.failures:
            return False
        lane, seq, voids = check.lane, check.head.seq, self._voids
        return not (voids and voids.covers(lane.source, lane.partition, seq, event.subject))

    def _move(self, event: Envelope, record: Any) -> Exception | None:
        """Move an entity by an event; return why it could not be."""
        try:
            opened = self.state.open(event)
        except Exception as error:  # whatever it is, the place is what counts
            self.on_unread(record, event, error)
            return error
        step = self.state.move(opened, event.source, record.partition, record.offset)
        self.on_step(record, step)
        return step.refused

    def _passed(self, record: Any) -> None:
        self._last[record.partition] = record
        self.offsets[record.partition] = record.offset + 1

    def commit(self) -> None:
        """Write what was read to the store, as one step."""
        entities, totals = self.state.taken()
        places = {p: (r.offset + 1, _tail(r)) for p, r in self._last.items()}
        heads = {lane: check.head for lane, check in self._moved.items()}
        self._store.commit(
            Step(entities, self.state.windowed, totals, places, heads, self._failed, self.marks)
        )
        self._tails.update({p: tail for p, (_, tail) in places.items()})
        self._last, self._moved, self._failed, self.marks = {}, {}, {}, {}


def _tail(record: Any) -> str:
    return "" if record.value is None else envelope.digest(record.value)
