"""Under a rollback's fence: the marks are committed, and memory is set to what was prepared.

One transaction of the outbox decides for this source. From then on the gate stays closed until
memory is set, however long the lease was.
"""

import logging

from eventlog.receipts import Receipt
from eventlog.recorder import Recorder
from eventlog.rollback import Prepared, RollbackRefused, Touched, set_state
from eventlog.voids import VoidControl, noted
from schemas.control import RolledBack, RolledForward, TailRestored, TailVoided
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.void import Span, Void

log = logging.getLogger("memferry.control")


class MarksMisplaced(FerryError):
    """A void says of its lanes what they are not."""


def commit(ferry: Recorder, fence: str, void: str) -> None:
    """Void ends of streams as prepared, or reverse it, and set memory; the gate is closed by then.

    Raises: RollbackRefused where nothing was committed, as the fence's lease was over; whatever
            halted the outbox: then the next start brings back what was decided.
    """
    with ferry.memory_lock:
        ferry._require_open()
        prepared = ferry.rollbacks.ready(void, ferry.stores(), ferry.voids)
        touched = ferry.rollbacks.touched
        assert touched is not None  # noqa: S101  (`ready` says so)
        # Only what is durable has a number, and the void names the numbers of its marks.
        durable = ferry.durable.wait(ferry.recorded_position(), ferry.fence.left())
        # The last look at the lease: behind it nothing can be taken back.
        if not durable or not ferry.fence.keep(fence):
            raise RollbackRefused(
                "the lease ended before the rollback could be committed: nothing was voided here",
                where=f"source {ferry.source}",
                remedy="ask for it again; with a slow disk, raise `migration.max_downtime_ms`",
            )
        decided, marks = _events(ferry, prepared)
        ferry._commit.put([ferry._control.receipt(decided, CONTROL_PARTITION), *marks])
        marks[-1].durable()
        try:
            _require_placed(decided, marks)
            ferry.voids = noted(ferry.voids, decided)
            _set_memory(ferry, prepared, touched)
        except Exception as error:  # memory is neither the old one nor the new one
            ferry._commit._halt(error)
            raise
        ferry.rollbacks.forget()
        ferry.rollbacks.count += 1
    log.warning("memory was set back by void %s: %d streams", void, len(prepared.streams))


def _events(ferry: Recorder, prepared: Prepared) -> tuple[VoidControl, list[Receipt]]:
    """Return what is decided, and its marks in every lane."""
    question, identity = prepared.question, ferry.identity
    partitions = range(identity.partitions)
    if question.restore:
        restored = TailRestored(
            question.void, identity.source, identity.topic, question.reason, question.actor
        )
        forward = RolledForward(question.void)
        return restored, [ferry._control.receipt(forward, p) for p in partitions]
    heads = ferry.written().heads
    lanes = {
        p: Span(prepared.void.lanes[p].after, heads[p].seq + 1 if p in heads else 1)
        for p in partitions
    }
    void = Void(question.void, identity.source, identity.generation, lanes, question.streams)
    voided = TailVoided(void, identity.topic, question.reason, question.actor)
    return voided, [
        ferry._control.receipt(RolledBack(void.id, span.after), p) for p, span in lanes.items()
    ]


def _require_placed(decided: VoidControl, marks: list[Receipt]) -> None:
    if isinstance(decided, TailVoided):
        for mark in marks:
            if mark.seq != decided.void.lanes[mark.partition].mark:
                raise MarksMisplaced(
                    f"the mark of void {decided.void.id} is event {mark.seq}, it says "
                    f"{decided.void.lanes[mark.partition].mark}",
                    where=f"source {decided.void.source}, partition {mark.partition}",
                    remedy="report this: something was recorded between the two",
                )


def _set_memory(ferry: Recorder, prepared: Prepared, touched: Touched) -> None:
    stores = ferry.stores()
    states = {
        stream: (store, state)
        for stream, state in prepared.streams.items()
        if (store := stores.get(stream.partition("/")[0])) is not None
    }
    if not prepared.question.restore:
        states = touched.before | states
    for stream, (store, state) in states.items():
        set_state(store, stream, state)
        ferry.set_known(stream, known=state.recorded)
    ferry.digests.spoil("a rollback set memory back")
