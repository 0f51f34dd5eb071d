"""Before a rollback's fence: what memory will be is read from the log, while the app goes on.

Only streams whose events begin or cease to count are read. Those that are mutated while this goes
on, and until the fence, are noted by recording itself, as they were before (rollback.py).
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from eventlog.driver import load_driver
from eventlog.extraction.survey import ENTITIES_A_BREATH
from eventlog.outbox.opening import open_reader
from eventlog.recorder import Recorder
from eventlog.restart.fold import events_of, restore
from eventlog.restart.memory import TABLES_LEFT, require_obeying, require_told_by_tables
from eventlog.restart.unusable import TablesUnusable
from eventlog.rollback import (
    Prepared,
    RollbackRefused,
    StreamState,
    refused_since,
    require_settable,
    require_undecided,
    state_of,
)
from eventlog.rollback_reading import Beginning, OutboxCut, OwnEvents
from eventlog.stores import FactStore, Store
from eventlog.voids import OwnVoids
from eventlog.window_store import WindowStore
from schemas import envelope
from schemas.lane import CONTROL_PARTITION
from schemas.requests import RollbackQuestion, RollbackReady
from schemas.settings import Settings
from schemas.void import OPEN_END, Span, Void

_DURABLE_S = 30.0
_NAMED_MOST = 20
_OUTBOX_ROWS = 200_000
"""An outbox with more is read only where there are no tables to read from."""
_STREAMS_ONE_BY_ONE = 5_000
log = logging.getLogger("memferry.control")


class _Plan(NamedTuple):
    """What is to change: which voids there are, and which there will be."""

    void: Void
    now: OwnVoids
    then: OwnVoids
    beginning: Beginning
    tables_from: Mapping[int, int]
    """Tables that are at these events of the lanes, or behind them, say it all."""

    def changes(self, partition: int, seq: int, stream: str) -> bool:
        """Say whether an event begins or ceases to count."""
        return self.now.covers(partition, seq, stream) != self.then.covers(partition, seq, stream)

    def concerns(self, stream: str) -> bool:
        """Say whether a stream may change."""
        return not self.void.streams or stream in self.void.streams


class _Changed(NamedTuple):
    """Streams of which events begin or cease to count."""

    first: dict[str, bool]
    """Whether the first of these events is the stream's first snapshot."""
    values: dict[str, tuple[Any, ...]]
    """Of those in a registered container: their fields' values."""
    later: set[str]
    """Of a void to be reversed: those that have newer events."""


def prepare(
    ferry: Recorder,
    settings: Settings,
    question: RollbackQuestion,
    breathe: Callable[[], None] = lambda: None,
) -> RollbackReady:
    """Be ready to void ends of streams, or to reverse that, under the fence that follows.

    `breathe` is called every few events. Raises: RollbackRefused, and what a restart from the log
    raises; nothing is prepared then.
    """
    with ferry.memory_lock:
        ferry._require_open()
        require_undecided(question, ferry.voids)
        plan = _plan(ferry, question)
        touched = ferry.rollbacks.watch(plan.void.streams)
        stores, row = ferry.stores(), ferry.recorded_position()
    try:
        if not ferry.durable.wait(row, _DURABLE_S):
            raise RollbackRefused(
                f"what was recorded is not durable after {_DURABLE_S:.0f} s",
                where=f"source {ferry.source}",
                remedy="look at the disk",
            )
        try:
            prepared = _read(settings, question, plan, stores, breathe, outbox=True)
        except OutboxCut as error:
            log.info("what the rollback needs is read from the topic: %s", error.what)
            prepared = _read(settings, question, plan, stores, breathe, outbox=False)
        with ferry.memory_lock:
            require_settable(prepared, stores, touched)
            ferry.rollbacks.keep(prepared, touched)
            refused = sorted(prepared.refused | refused_since(prepared, touched))
            states = dict(prepared.streams)
            if not question.restore:
                states = {stream: state for stream, (_, state) in touched.before.items()} | states
    except BaseException:
        with ferry.memory_lock:
            if ferry.rollbacks.touched is touched:
                ferry.rollbacks.forget()
        raise
    entities = sum(len(state.entities) for state in states.values())
    return RollbackReady(len(states), entities, refused[:_NAMED_MOST], len(refused))


def _plan(ferry: Recorder, question: RollbackQuestion) -> _Plan:
    identity, voids = ferry.identity, ferry.voids
    if question.restore:
        void = voids.in_force[question.void]
        after = {p: span.after for p, span in void.lanes.items()}
        marks = {p: span.mark for p, span in void.lanes.items()}
        return _Plan(void, voids, voids.without(void.id), Beginning(after), marks)
    heads = {p: head for p, head in question.lanes.items() if p != CONTROL_PARTITION}
    after = dict.fromkeys(range(identity.partitions), 0) | {p: h.seq for p, h in heads.items()}
    lanes = {p: Span(seq, OPEN_END) for p, seq in after.items()}
    void = Void(question.void, identity.source, identity.generation, lanes, question.streams)
    beginning = Beginning(after, heads, question.offsets)
    return _Plan(void, voids, voids.with_void(void), beginning, after)


def _read(
    settings: Settings,
    question: RollbackQuestion,
    plan: _Plan,
    stores: Mapping[str, Store],
    breathe: Callable[[], None],
    *,
    outbox: bool,
) -> Prepared:
    events = OwnEvents(settings, lambda: open_reader(settings), _now_and_then(breathe))
    for partition, seq in plan.beginning.after.items():
        if seq > (events.until[partition].seq if partition in events.until else 0):
            raise RollbackRefused(
                f"event {seq} of the position is not in this outbox",
                where=f"source {events.identity.source}, partition {partition}",
                remedy="the database is of another life of this source: `memferry audit` says more",
            )
    changed = _changed(plan, events, stores, outbox=outbox)
    in_the_way = changed.first.keys() & changed.later if question.restore else set()
    states: dict[str, StreamState] = {}
    of_kind: dict[str, set[str]] = {}
    for stream in changed.first.keys() - in_the_way:  # of these there is no state that follows
        of_kind.setdefault(stream.partition("/")[0], set()).add(stream)
    left: dict[str, set[str]] = {}
    whole = outbox and events.in_outbox({})
    for name, streams in of_kind.items():
        store = stores.get(name)
        if store is None or isinstance(store, FactStore):
            continue
        found = None
        if question.shadow and not (whole and events.rows <= _OUTBOX_ROWS):
            tables = _Tables(settings, question.shadow, plan, events)
            values = {stream: changed.values[stream] for stream in streams}
            found = tables.read(store, values)
        if found is None:
            left[name] = streams
        else:
            states |= found
    if left:
        states |= _from_events(plan, events, stores, left, outbox=whole)
    if not question.restore:
        begun = {stream for stream, state in states.items() if state.recorded}
        in_the_way = {s for s, snapshot in changed.first.items() if snapshot} - begun
    return Prepared(question, plan.void, stores, states, frozenset(in_the_way))


def _changed(
    plan: _Plan, events: OwnEvents, stores: Mapping[str, Store], *, outbox: bool
) -> _Changed:
    found = _Changed({}, {}, set())

    def wanted(partition: int, seq: int, stream: str) -> bool:
        return plan.concerns(stream)

    with events.behind(plan.beginning, wanted, outbox=outbox) as rows_of:
        for row in rows_of(""):
            place = (row.partition, row.seq, row.stream)
            if not plan.changes(*place):
                if row.seq > plan.beginning.after[row.partition] and not plan.now.covers(*place):
                    found.later.add(row.stream)
            elif row.stream not in found.first:
                found.first[row.stream] = envelope.decode(row.event).snapshot
                store = stores.get(row.stream.partition("/")[0])
                if store is not None:
                    for _, event in events_of(store.kind, [row]):
                        names = store.kind.stream
                        found.values[row.stream] = tuple(getattr(event, name) for name in names)
    return found


def _from_events(
    plan: _Plan,
    events: OwnEvents,
    stores: Mapping[str, Store],
    wanted_of: Mapping[str, set[str]],
    *,
    outbox: bool,
) -> dict[str, StreamState]:
    def wanted(partition: int, seq: int, stream: str) -> bool:
        streams = wanted_of.get(stream.partition("/")[0], ())
        return stream in streams and not plan.then.covers(partition, seq, stream)

    states: dict[str, StreamState] = {}
    with events.behind(Beginning({}), wanted, outbox=outbox) as rows_of:
        for name, streams in wanted_of.items():
            fresh = stores[name].fresh()
            begun = restore(rows_of(name), fresh)
            states |= {s: state_of(fresh, s, recorded=s in begun) for s in streams}
    return states


class _Tables(NamedTuple):
    """Tables beside the live ones, where they are of the right position and voids."""

    settings: Settings
    schema: str
    plan: _Plan
    events: OwnEvents

    def read(
        self, store: Store, streams: Mapping[str, tuple[Any, ...]]
    ) -> dict[str, StreamState] | None:
        """Return the source's own streams, by their fields' values; None where rows do not tell."""
        kind = store.kind
        try:
            require_told_by_tables(store)
            entities = self._entities(store, list(streams.values()))
        except TABLES_LEFT as error:
            log.info("kind %s is read from the log: %s", kind.name, error.what)
            return None
        fresh, begun = store.fresh(), set()
        stream_of, key_of = kind.stream_getter(), kind.key_getter()
        for entity in entities:
            stream = stream_of(entity)
            if stream in streams:
                begun.add(stream)
                fresh.put(key_of(entity), entity)
        return {s: state_of(fresh, s, recorded=s in begun) for s in streams}

    def _entities(self, store: Store, values: list[tuple[Any, ...]]) -> list[Any]:
        load_driver("memory is to be read from the tables")
        from eventlog.restart.tables import read_kind  # noqa: PLC0415  (behind the driver)

        window = store.window() if isinstance(store, WindowStore) else None
        few = window is not None or len(values) <= _STREAMS_ONE_BY_ONE
        found = read_kind(
            self.settings, self.schema, self.events.identity, store.kind, window,
            streams=values if few else None, alone=False,
        )  # fmt: skip
        require_obeying(found, self.plan.then, store.kind)
        for partition, seq in self.plan.tables_from.items():
            if seq > (found.heads[partition].seq if partition in found.heads else 0):
                raise TablesUnusable(f"the tables {self.schema} have not come to event {seq}")
        return found.entities


def _now_and_then(breathe: Callable[[], None]) -> Callable[[], None]:
    """Return what is called at every event, and breathes every few."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count % ENTITIES_A_BREATH == 0:
            breathe()

    return tick
