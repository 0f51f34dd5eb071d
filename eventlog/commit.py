"""Group commit: everything recorded while one fsync runs shares the next one."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from eventlog.limits import Limits
from eventlog.outbox.contract import Command, Outbox, Pending
from eventlog.receipts import OutcomeUnknown, Watermark
from schemas.errors import FerryError
from schemas.settings import Outbox as OutboxSettings

_NAP_S = 0.001
_NAPS = 10
_IDLE_S = 0.2
"""How often a writing thread with nothing to write looks after its outbox."""


class Unit(NamedTuple):
    """Events that must be durable together: their first and last row, and their command."""

    first: int
    last: int
    command: Command | None


class GroupCommit:
    """Owns the outbox's writing thread; numbers rows as they are queued, from the outbox's last.

    `put` must be called under the shim's lock: the queue's order is the order of commit. A failed
    commit halts: nothing queued is acknowledged any more, for its outcome is unknown.
    """

    def __init__(
        self,
        outbox: Outbox,
        durable: Watermark,
        limit: int,
        on_halt: Callable[[FerryError], None],
        options: OutboxSettings = OutboxSettings(),  # noqa: B008  (immutable)
    ) -> None:
        self._outbox = outbox
        self._durable = durable
        self._limit = limit
        self._on_halt = on_halt
        self._last_row = outbox.last_row()
        self._limits = Limits(outbox, options)
        self.write_through = options.write_through
        self._delay_s = options.commit_delay_us / 1_000_000
        self._group_bytes = options.commit_bytes
        self._queue: list[Pending] = []
        self._units: deque[Unit] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._idle = False
        self._napping = False
        self._closing = False
        self._more_upkeep = False
        self.upkeep: Callable[[int], bool] = lambda committed: False
        """Called between commits, with the events of the last; says whether it has more to do."""
        self.halted: FerryError | None = None
        self._thread = threading.Thread(target=self._run, name="memferry-commit", daemon=True)
        durable.advance(self._last_row)
        durable.on_wait = self._hurry
        self._taken = Watermark(self._last_row)
        self._taken.on_wait = self._hurry
        self._thread.start()

    @property
    def depth(self) -> int:
        """Events recorded and not yet durable."""
        return self._last_row - self._durable.value

    @property
    def last_row(self) -> int:
        """The newest row given, durable or not."""
        return self._last_row

    def wait_for_room(self) -> None:
        """Block while the queue is full: the disk is slower than the app, and memory is bounded.

        Raises: OutboxFull, DiskReserveUsed.
        """
        if self._limits.full is not None:
            self._limits.require_room()
        waiting = len(self._queue)  # once: the writing thread may take the queue at any moment
        if waiting >= self._limit:
            # The whole queue is taken at once: with its first event gone there is room.
            self._taken.wait(self._last_row - waiting + 1, None)

    def put(self, items: Sequence[Pending], command: Command | None = None) -> None:
        """Queue events that must become durable together, and the command that they are."""
        before = row = self._last_row
        for item in items:
            row += 1
            item.row = row
        if row - before > 1 or command is not None:
            self._units.append(Unit(before + 1, row, command))
        self._last_row = row
        self._queue.extend(items)  # without a lock, for it is one step: `_take` takes whole units
        if self._idle:
            self._rouse()

    def follow(self, last_row: int) -> None:
        """Go on behind rows that a transaction of the app's own made durable.

        Under the shim's lock, while nothing is queued.
        """
        self._last_row = last_row
        self._durable.advance(last_row)

    def _rouse(self) -> None:
        with self._wake:
            self._wake.notify()

    def _hurry(self, row: int) -> None:
        """Somebody waits for a row: what is queued is committed now."""
        if self._napping and row <= self._last_row:
            self._rouse()

    def _run(self) -> None:
        try:
            while self._commit_what_waits():
                self._limits.look()
        except Exception as error:  # whatever it was, nothing is acknowledged
            self._halt(error)

    def _commit_what_waits(self) -> bool:
        """Commit what is queued, or is within a moment; False once there will be nothing more."""
        with self._wake:
            self._rest()
            if self._delay_s and self._queue and not self._closing:
                self._wake.wait(self._delay_s)  # what is recorded meanwhile shares the commit
            ending = self._closing
        batch, units = self._take()
        for group, commands in groups_of(batch, units, self._group_bytes):
            self._outbox.append(group, commands)
            self._durable.advance(group[-1].row)
        if not batch:
            self._outbox.look_after()
        self._more_upkeep = self.upkeep(len(batch))
        return bool(batch) or not ending

    def _rest(self) -> None:
        """Return once something is queued, or after a while.

        To wake a thread costs its waker more than to record. So the first moments are short naps,
        after which this thread looks by itself, and which only who waits for a receipt cuts short:
        an app that records all the time never wakes it.
        """
        if self._more_upkeep:
            return
        self._napping = True
        for _ in range(_NAPS):
            if self._queue or self._closing:
                break
            self._wake.wait(_NAP_S)
        self._napping = False
        self._idle = True  # first this, then a look: who queues does it the other way round
        if not self._queue and not self._closing:
            self._wake.wait(_IDLE_S)
        self._idle = False

    def _take(self) -> tuple[list[Pending], list[Unit]]:
        """Return what is queued, whole units, in steps that each leave the queue as it must be."""
        count = len(self._queue)
        batch = self._queue[:count]
        del self._queue[:count]
        units: list[Unit] = []
        while batch and self._units and self._units[0].first <= batch[-1].row:
            units.append(self._units.popleft())
        if batch:
            self._taken.advance(batch[-1].row)
        return batch, units

    def _halt(self, error: Exception) -> None:
        cause, remedy = repr(error), "restart the app: memory is restored from what is durable"
        if isinstance(error, FerryError):
            cause, remedy = error.what, error.remedy
        self.halted = OutcomeUnknown(
            f"the outbox could not commit: {cause}",
            where=f"rows {self._durable.value + 1} to {self._last_row}",
            remedy=remedy,
        )
        self.halted.__cause__ = error
        self._on_halt(self.halted)  # first: who is told below may record again
        self._durable.fail(self.halted)
        self._taken.fail(self.halted)
        self._limits.end()

    def close(self, timeout: float) -> bool:
        """Commit what is queued, end the thread; False where `timeout` seconds were not enough."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._limits.end()
        self._thread.join(timeout)
        return not self._thread.is_alive()


def groups_of(
    batch: list[Pending], units: Sequence[Unit], limit: int
) -> Iterator[tuple[list[Pending], list[Command]]]:
    """Cut queued events into transactions of about `limit` bytes, with the commands in each.

    A unit is never cut: one that is larger than the limit makes its transaction larger.
    """
    if not batch:
        return
    if sum(len(item.head) + len(item.data) for item in batch) <= limit:
        yield batch, [unit.command for unit in units if unit.command is not None]
        return
    group: list[Pending] = []
    commands: list[Command] = []
    size, whole_at, begun = 0, 0, 0
    for item in batch:
        group.append(item)
        size += len(item.head) + len(item.data)
        while begun < len(units) and units[begun].first <= item.row:
            _, whole_at, command = units[begun]
            commands += [command] if command is not None else []
            begun += 1
        if size >= limit and item.row >= whole_at:
            yield group, commands
            group, commands, size = [], [], 0
    if group:
        yield group, commands
