"""Rollbacks of an app without a database: prepared, fenced and committed by hand."""

import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from eventlog.outbox.contract import OutboxRow
from eventlog.rollback_commit import commit
from eventlog.rollback_preparing import prepare
from eventlog.shim import Ferry
from schemas import envelope
from schemas.control import CONTROL_TYPES, ControlEvent, RolledBack, TailVoided, decode_control
from schemas.lane import CONTROL_PARTITION, LaneHead
from schemas.requests import RollbackQuestion, RollbackReady
from tests.eventlog.app import DEADLINE_S, App, closed, deposited, opened, taken
from tests.eventlog.writer import Mutation

FENCE = "a fence"


def here(ferry: Ferry) -> dict[int, LaneHead]:
    """Return the lanes' heads as they are now, everything recorded being durable."""
    ferry.flush(DEADLINE_S)
    return {p: head for p, head in ferry.written().heads.items() if p != CONTROL_PARTITION}


def ask(ferry: Ferry, lanes: Mapping[int, LaneHead] = {}, **more: Any) -> RollbackQuestion:
    """Return the question whether ends of streams behind a position may be voided."""
    given = {"void": str(uuid.uuid4()), "reason": "a test", "actor": "ann", "lanes": dict(lanes)}
    return RollbackQuestion(**(given | more))


def ready(ferry: Ferry, question: RollbackQuestion) -> RollbackReady:
    return prepare(ferry, ferry.settings, question)


@contextmanager
def fenced(ferry: Ferry, void: str, lease_s: float = DEADLINE_S) -> Iterator[None]:
    """The gate is closed for a rollback, as a fence of PostgreSQL does it; open at the end."""
    with ferry.memory_lock:
        ferry.rollbacks.ready(void, ferry.stores(), ferry.voids)
        ferry.rollbacks.sealed = FENCE
        ferry.fence.close(FENCE, lease_s)
    try:
        yield
    finally:
        with ferry.memory_lock:
            ferry.rollbacks.sealed = ""
            ferry.fence.open(FENCE)


def go_back(ferry: Ferry, lanes: Mapping[int, LaneHead], *streams: str) -> str:
    """Void the ends of streams behind a position; return the void's id."""
    question = ask(ferry, lanes, streams=streams)
    assert ready(ferry, question).refused == []
    with fenced(ferry, question.void):
        commit(ferry, FENCE, question.void)
    return question.void


def go_forward(ferry: Ferry, void: str) -> None:
    """Reverse a void."""
    question = ask(ferry, void=void, restore=True)
    assert ready(ferry, question).refused == []
    with fenced(ferry, void):
        commit(ferry, FENCE, void)


def controls(rows: Iterable[OutboxRow]) -> list[tuple[int, int, ControlEvent]]:
    """Return memferry's own events among rows: partition, seq, event."""
    found = []
    for row in rows:
        event = envelope.decode(row.event)
        if event.type in CONTROL_TYPES:
            found.append((row.partition, row.seq, decode_control(event.type, event.data)))
    return found


def counting(rows: Iterable[OutboxRow]) -> list[OutboxRow]:
    """Return the rows that no void takes away, told by the control records alone."""
    rows = list(rows)
    spans: dict[str, TailVoided] = {}
    for _, _, event in controls(rows):
        match event:
            case TailVoided():
                spans[event.void.id] = event
            case _ if type(event).__name__ == "TailRestored":
                del spans[getattr(event, "void")]  # noqa: B009
    return [row for row in rows if not any(_covers(one, row) for one in spans.values())]


def _covers(one: TailVoided, row: OutboxRow) -> bool:
    span, streams = one.void.lanes.get(row.partition), one.void.streams
    if span is None or (streams and row.stream not in streams):
        return False
    return span.after < row.seq < span.mark


def marks(rows: Iterable[OutboxRow]) -> dict[int, tuple[int, int]]:
    """Return of each lane where its newest mark is, and what it says counts before."""
    return {p: (seq, e.after) for p, seq, e in controls(rows) if isinstance(e, RolledBack)}


def begin(app: App) -> None:
    app.ferry.record_all([opened("a"), opened("b"), opened("c"), taken("m", 1), taken("m", 2)])


def go_on(app: App) -> None:
    app.ferry.record_all([deposited("a", 5, 5), closed("b"), opened("d"), taken("m", 3)])
    app.ferry.record_all([taken("m", 4), taken("n", 1), deposited("d", 1, 1)])


def while_fenced(ferry: Any, lanes: dict[int, LaneHead], *mutations: Any) -> list[Mutation]:
    """Go back while these wait at the gate; return them, ended or not."""
    question = ask(ferry, lanes)
    assert ready(ferry, question).refused == []
    with fenced(ferry, question.void):
        waiting = [Mutation(one) for one in mutations]
        assert all(one.still_waits() for one in waiting)
        commit(ferry, FENCE, question.void)
    return waiting
