"""What an outbox may take of its disk: looked at between commits, told to whoever records."""

import threading
import time
from collections.abc import Callable

from eventlog.outbox.contract import Outbox
from schemas.errors import FerryError, SettingsInvalid
from schemas.settings import Outbox as OutboxSettings

_LOOK_EVERY_S = 0.005


class OutboxFull(FerryError):
    """The outbox has reached its size limit; memory has not changed."""


class DiskReserveUsed(FerryError):
    """The disk's last bytes are kept for what must still be written; memory has not changed."""


class Limits:
    """Whether there is room for more events.

    The writing thread looks, at most every few milliseconds; `full` is all that recording reads.
    What is queued meanwhile is still written, so a limit may be passed by that much.
    """

    def __init__(self, outbox: Outbox, options: OutboxSettings) -> None:
        if options.max_bytes and options.when_full == "block" and options.prune == "never":
            raise SettingsInvalid(
                "a full outbox would block for ever: nothing ever makes room in it",
                where='`outbox.when_full` is "block", `outbox.prune` is "never"',
                remedy='set `outbox.prune` to "applied", or `outbox.when_full` to "refuse"',
            )
        self._outbox = outbox
        self._options = options
        self._none = not (options.max_bytes or options.disk_reserve_bytes)
        self._changed = threading.Condition()
        self._next_look = 0.0
        self._ended = False
        self.full: Callable[[], FerryError] | None = None
        """Makes the error that says what is used up, None while there is room."""
        self.look()

    def look(self) -> None:
        """Find out whether there is room; the writing thread alone may call this."""
        now = time.monotonic()
        if self._none or now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY_S
        with self._changed:
            self.full = self._find()
            if self.full is None:
                self._changed.notify_all()

    def require_room(self) -> None:
        """Return once there is room; raises OutboxFull or DiskReserveUsed where none may wait."""
        with self._changed:
            while (full := self.full) is not None and not self._ended:
                error = full()
                if self._options.when_full == "refuse" or isinstance(error, DiskReserveUsed):
                    raise error
                self._changed.wait()

    def end(self) -> None:
        """Let everybody go on who waits: the shim closes or has halted, and says so itself."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _find(self) -> Callable[[], FerryError] | None:
        reserve, limit = self._options.disk_reserve_bytes, self._options.max_bytes
        free = self._outbox.free_bytes() if reserve else None
        if free is not None and free < reserve:
            return lambda: DiskReserveUsed(
                f"the outbox's disk has {free} bytes left, of which {reserve} are kept in reserve",
                where=self._outbox.place,
                remedy="make room on the disk, or lower `outbox.disk_reserve_bytes`; recording "
                "goes on by itself then",
            )
        used = self._outbox.used_bytes() if limit else 0
        if limit and used >= limit:
            return lambda: OutboxFull(
                f"the outbox holds {used} bytes, its limit is {limit}",
                where=self._outbox.place,
                remedy="raise `outbox.max_bytes`, or have rows pruned (`outbox.prune`): "
                "`memferry status` shows what Kafka and the tables have of it",
            )
        return None
