"""Group commit: everything recorded while one fsync runs shares the next one."""

import threading
from collections.abc import Callable, Sequence

from eventlog.outbox.contract import Outbox, Pending
from eventlog.receipts import OutcomeUnknown, Watermark
from schemas.errors import FerryError


class GroupCommit:
    """Owns the outbox's writing thread; numbers rows as they are queued, from the outbox's last.

    `put` must be called under the shim's lock: the queue's order is the order of commit. A failed
    commit halts: nothing queued is acknowledged any more, for its outcome is unknown.
    """

    def __init__(
        self, outbox: Outbox, durable: Watermark, limit: int, on_halt: Callable[[FerryError], None]
    ) -> None:
        self._outbox = outbox
        self._durable = durable
        self._limit = limit
        self._on_halt = on_halt
        self._last_row = outbox.last_row()
        self._queue: list[Pending] = []
        self._lock = threading.Lock()  # taken directly by `put`: a Condition's own is slower
        self._wake = threading.Condition(self._lock)
        self._idle = True
        self._closing = False
        self.halted: FerryError | None = None
        self._thread = threading.Thread(target=self._run, name="memferry-commit", daemon=True)
        durable.advance(self._last_row)
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
        """Block while the queue is full: the disk is slower than the app, and memory is bounded."""
        waiting = len(self._queue)  # once: the writing thread may take the queue at any moment
        if waiting >= self._limit:
            # Every commit takes the whole queue, so one commit from now there is room.
            self._durable.wait(self._last_row - waiting + 1, None)

    def put(self, items: Sequence[Pending]) -> None:
        """Queue events that must become durable together."""
        row = self._last_row
        for item in items:
            row += 1
            item.row = row
        with self._lock:
            self._last_row = row
            self._queue.extend(items)
            if self._idle:
                self._wake.notify()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._queue and not self._closing:
                    self._idle = True
                    self._wake.wait()
                self._idle = False
                batch, self._queue = self._queue, []
            if not batch:
                return
            try:
                self._outbox.append(batch)
            except Exception as error:  # whatever it was, nothing is acknowledged
                self._halt(error)
                return
            self._durable.advance(batch[-1].row)

    def _halt(self, error: Exception) -> None:
        self.halted = OutcomeUnknown(
            f"the outbox could not commit: {error!r}",
            where=f"rows {self._durable.value + 1} to {self._last_row}",
            remedy="restart the app: memory is restored from what is durable",
        )
        self._durable.fail(self.halted)
        self._on_halt(self.halted)

    def close(self, timeout: float) -> bool:
        """Commit what is queued, end the thread; False where `timeout` seconds were not enough."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()
