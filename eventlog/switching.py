"""A writer's side of a switch: take the fence, put the barriers, say when they are in the tables.

The lease is this process's own; nobody is asked when it ends. Only whether the switch was decided
is the deciding row's to say: a lease that ended sets the row to aborted where it was not.
"""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from eventlog.fence import Pause
from eventlog.receipts import Receipt, ReceiptTimeout, Watermark
from eventlog.recorder import Recorder
from eventlog.rollback_commit import commit
from schemas.errors import FerryError
from schemas.sql import statement

if TYPE_CHECKING:
    from eventlog.listener import Connection

log = logging.getLogger("memferry.control")


class _Held(msgspec.Struct):
    """A fence that this writer has taken."""

    purpose: str
    subject: str
    receipts: list[Receipt]
    renewals: int
    counting: str = ""
    sums: str | None = None
    answer: str = "fenced"
    detail: str = ""
    answered: str = ""


class Switching:
    """The fences of one projection, as one source takes them. Used by one thread."""

    def __init__(self, ferry: Recorder, projection: str, applied: Mapping[int, Watermark]) -> None:
        self._ferry = ferry
        self._projection = projection
        self._applied = applied
        self._held: dict[str, _Held] = {}
        self._over: list[Pause] = []  # not reported yet

    def look(self, conn: "Connection") -> None:
        """Take fences that are asked for, prolong the renewed, leave those that ended."""
        known = {"projection": self._projection, "held": list(self._held)}
        rows = conn.execute(statement("fences_of_projection"), known).fetchall()
        for fence, purpose, epoch, lease_ms, state, renewals, left_s, subject in rows:
            held = self._held.get(fence)
            if state != "asked":
                if held is not None:
                    if state == "decided" and held.answer == "caught_up":
                        self._carry_out(fence, held)
                    self._leave(fence)
            elif held is None:
                if left_s > 0:
                    self._take(fence, _Held(purpose, subject, [], renewals), epoch, lease_ms / 1000)
            elif renewals > held.renewals:
                held.renewals = renewals
                self._ferry.fence.prolong(fence, lease_ms / 1000)
        self._report(conn)
        self.watch(conn)

    def watch(self, conn: "Connection") -> None:
        """Answer for the fences whose barriers are where they must be."""
        for fence, held in self._held.items():
            if held.answer == "fenced" and held.receipts and self._caught_up(fence, held):
                held.answer = "caught_up"
            if held.answered != held.answer:
                heads = {receipt.partition: receipt.seq for receipt in held.receipts}
                conn.execute(
                    statement("fence_answer"),
                    {
                        "fence": fence,
                        "source": self._ferry.source,
                        "state": held.answer,
                        "detail": held.detail,
                        "heads": msgspec.json.encode(heads).decode(),
                        "counting": held.counting,
                        "sums": held.sums,
                    },
                )
                held.answered = held.answer

    def give_up_lapsed(self, conn: "Connection") -> None:
        """Set the fences whose leases ended here to aborted, where they were not decided."""
        for pause in self._ferry.fence.lapsed():
            log.warning("writing goes on: %s", self._reason(pause))
            self._open(pause.name)
            self._over.append(pause)
        self._report(conn)

    def _take(self, fence: str, held: _Held, epoch: int, lease_s: float) -> None:
        ferry, purpose = self._ferry, held.purpose
        self._held[fence] = held
        barrier = None
        ferry.settle_sums()  # what there is to hash is hashed before writing stands still
        try:
            with ferry.memory_lock:
                if purpose == "rollback":
                    ferry.rollbacks.ready(held.subject, ferry.stores(), ferry.voids)
                    ferry.rollbacks.sealed = fence
                ferry.fence.close(fence, lease_s)
                if purpose != "hold":
                    barrier = ferry.place_barrier(fence, purpose, epoch=epoch, with_memory=False)
                    held.receipts = barrier.receipts
            if barrier is not None:
                held.counting = barrier.counting
                held.sums = msgspec.json.encode(barrier.sums).decode()
        except FerryError as error:
            self._open(fence)
            held.answer, held.detail = "refused", error.what

    def _carry_out(self, fence: str, held: _Held) -> None:
        """Do what a fence was for, where that is more than to stand still."""
        if held.purpose != "rollback":
            return
        try:
            commit(self._ferry, fence, held.subject)
        except FerryError as error:
            log.warning("void %s: %s", held.subject, error)

    def _open(self, fence: str) -> Pause | None:
        with self._ferry.memory_lock:
            rollbacks = self._ferry.rollbacks
            if rollbacks.sealed == fence:
                rollbacks.sealed = ""
            return self._ferry.fence.open(fence)

    def _caught_up(self, fence: str, held: _Held) -> bool:
        """Say whether the barriers are committed: in the tables, or for a way back on the disk."""
        left_s = self._ferry.fence.left()
        try:
            held.receipts[-1].durable(left_s)  # all are one transaction of the outbox
        except ReceiptTimeout:
            return False  # its lease ends with it
        except FerryError as error:
            held.answer, held.detail = "refused", error.what
            return False
        if held.purpose in {"switch_back", "rollback"}:  # memory has whatever was recorded
            return True
        return all(self._applied[r.partition].value >= r.seq for r in held.receipts)

    def _leave(self, fence: str) -> None:
        pause = self._open(fence)
        if pause is not None:  # where its lease ended first, `give_up_lapsed` finds it
            self._over.append(pause)
        del self._held[fence]

    def _report(self, conn: "Connection") -> None:
        """Tell of the pauses that are over; those that a lost connection kept back, by the next."""
        while self._over:
            pause = self._over[0]
            if pause.lapsed:
                values = {"fence": pause.name, "reason": self._reason(pause)}
                conn.execute(statement("fence_abort"), values)
            conn.execute(
                statement("fence_opened"),
                {
                    "fence": pause.name,
                    "source": self._ferry.source,
                    "pause_ms": pause.seconds * 1000,
                },
            )
            self._held.pop(pause.name, None)
            del self._over[0]

    def _reason(self, pause: Pause) -> str:
        return f"the lease of source {self._ferry.source!r} ended after {pause.seconds:.3f} s"
