"""What recording returns: a promise that can be waited for, from threads and from asyncio."""

import asyncio
import heapq
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from eventlog.parked import Parked, ParkedStream
from schemas.errors import FerryError


class OutcomeUnknown(FerryError):
    """The outbox failed while this event was being written: it may or may not be durable."""


class ReceiptTimeout(FerryError):
    """What a receipt promises has not happened within the time given; it may still happen."""


class AppliedEnded(FerryError):
    """The tables do not go on by themselves: what waits to be applied is told so, and why."""


class AppliedHeld(AppliedEnded):
    """The projection holds at a position, or is being rebuilt: nothing new reaches its tables."""


class AppliedStopped(AppliedEnded):
    """The event's partition stopped before it: somebody must mend what stopped it."""


class AppliedParked(AppliedEnded):
    """The event, or an earlier one of its stream, is parked: the tables do not have it."""


class _Waiter:
    """One who waits for a value: told once, in the thread that moves the mark."""

    __slots__ = ("error", "given_up", "tell")

    def __init__(self, tell: Callable[[], None]) -> None:
        self.tell = tell
        self.error: FerryError | None = None
        self.given_up = False


class Watermark:
    """A number that rises, and those who wait for it: one wake-up, no polling.

    Only those are woken whose value is reached. `advance` and `fail` may be called from any thread.
    """

    __slots__ = ("_count", "_error", "_gone", "_lock", "_waiters", "on_wait", "value")

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self.on_wait: Callable[[int], None] | None = None
        """Told of every value that somebody begins to wait for."""
        self._lock = threading.Lock()
        self._error: FerryError | None = None
        self._count = 0
        self._gone = 0
        self._waiters: list[tuple[int, int, _Waiter]] = []

    def advance(self, value: int) -> None:
        """Let everybody go on who waits for `value` or less."""
        with self._lock:
            if value <= self.value:
                return
            self.value = value
            waiters = self._waiters
            while waiters and waiters[0][0] <= value:
                heapq.heappop(waiters)[2].tell()

    def fail(self, error: FerryError) -> None:
        """Let everybody who waits, now or later, end with `error`."""
        with self._lock:
            self._error = error
            for _, _, waiter in self._waiters:
                waiter.error = error
                waiter.tell()
            self._waiters.clear()

    def mend(self) -> None:
        """Let those who come now wait again: what `fail` told of is over."""
        with self._lock:
            self._error = None

    def set_back(self, value: int) -> None:
        """Fall to a value: what was reached above it no longer holds."""
        with self._lock:
            self.value = min(self.value, value)

    def wait(self, value: int, timeout: float | None) -> bool:
        """Block until the mark reaches `value`: False where `timeout` seconds were not enough."""
        if self.value >= value:
            return True
        told = threading.Lock()
        told.acquire()
        waiter = self._enter(value, told.release)
        if waiter is None:
            return True
        bound = min(threading.TIMEOUT_MAX, max(0.0, timeout)) if timeout is not None else -1
        if not told.acquire(timeout=bound):
            self._leave(waiter)
        if waiter.error is not None:
            raise waiter.error
        return self.value >= value

    async def reached(self, value: int, timeout: float | None) -> bool:
        """Wait in asyncio until the mark reaches `value`: False where `timeout` was not enough."""
        if self.value >= value:
            return True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        waiter = self._enter(value, lambda: _resolve(loop, future))
        if waiter is None:
            return True
        try:
            await asyncio.wait_for(future, timeout)
        except TimeoutError:
            return self.value >= value
        finally:
            if future.cancelled():
                self._leave(waiter)
        if waiter.error is not None:
            raise waiter.error
        return True

    def _enter(self, value: int, tell: Callable[[], None]) -> _Waiter | None:
        """Wait from now on; None where the value is reached already."""
        with self._lock:
            if self.value >= value:
                return None
            if self._error is not None:
                raise self._error
            self._count += 1
            waiter = _Waiter(tell)
            heapq.heappush(self._waiters, (value, self._count, waiter))
        if self.on_wait is not None:
            self.on_wait(value)
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        """Note that a waiter gave up; once half of them have, make room."""
        with self._lock:
            waiter.given_up = True
            self._gone += 1
            if self._gone * 2 > len(self._waiters):
                self._waiters = [entry for entry in self._waiters if not entry[2].given_up]
                heapq.heapify(self._waiters)
                self._gone = 0


def _resolve(loop: asyncio.AbstractEventLoop, future: "asyncio.Future[None]") -> None:
    def settle() -> None:
        if not future.done():
            future.set_result(None)

    if not loop.is_closed():
        with suppress(RuntimeError):  # it closed since: nobody waits there any more
            loop.call_soon_threadsafe(settle)


class Capability(FerryError):
    """A promise was asked for that this way of attaching cannot keep."""


class Promises:
    """How far the events of one shim are: the marks that its receipts wait for."""

    def __init__(self) -> None:
        self.durable = Watermark()
        self._replicated: Watermark | None = None
        self._applied: Mapping[int, Watermark] = {}
        self.parked = Parked()

    def replicated(self) -> Watermark:
        """Return the mark of rows acknowledged by Kafka."""
        if self._replicated is None:
            raise Capability("the shim is not attached to a relay", remedy="use eventlog.attach")
        return self._replicated

    def applied(self, partition: int) -> Watermark:
        """Return the mark of sequences committed in PostgreSQL, for one partition."""
        mark = self._applied.get(partition)
        if mark is None:
            raise Capability(
                "`applied` cannot be awaited: the shim has no control connection",
                remedy="install memferry[control] and set `postgres.dsn`",
            )
        return mark

    @property
    def replicated_row(self) -> int:
        """The newest row acknowledged by Kafka, 0 while no relay has said so."""
        return self._replicated.value if self._replicated else 0

    def serve_replicated(self, mark: Watermark) -> None:
        """Let a relay, in this process or another, say how far Kafka has the events."""
        self._replicated = mark

    def serve_applied(self, marks: Mapping[int, Watermark]) -> None:
        """Let the control connection say how far the tables are."""
        self._applied = marks


class Receipt(msgspec.Struct, eq=False, gc=False):  # made in a quarter of a class's time
    """One recorded event on its way: queued, durable, replicated, applied.

    `seq` is 0 until it is durable. Every wait raises ReceiptTimeout after `timeout` seconds (None:
    never) and OutcomeUnknown where the outbox failed.
    """

    _promises: Promises
    event_id: str
    partition: int
    stream: str
    head: bytes
    data: bytes
    row: int = 0
    seq: int = 0
    epoch: int = 0
    digest: str | None = None
    """Of a barrier: what its lane's epoch is raised to; its SHA-256, "" until it is numbered."""

    def __repr__(self) -> str:
        return f"<Receipt of {self.event_id}: {self.stream}, row {self.row}, seq {self.seq}>"

    def durable(self, timeout: float | None = None) -> None:
        """Return once the event is on disk, behind an fsync: the app may now answer its client."""
        if not self._promises.durable.wait(self.row, timeout):
            raise self._late("durable", timeout)

    async def until_durable(self, timeout: float | None = None) -> None:
        """Like `durable`, in asyncio."""
        if not await self._promises.durable.reached(self.row, timeout):
            raise self._late("durable", timeout)

    def replicated(self, timeout: float | None = None) -> None:
        """Return once Kafka has acknowledged the event."""
        if not self._promises.replicated().wait(self.row, timeout):
            raise self._late("replicated", timeout)

    async def until_replicated(self, timeout: float | None = None) -> None:
        """Like `replicated`, in asyncio."""
        if not await self._promises.replicated().reached(self.row, timeout):
            raise self._late("replicated", timeout)

    def applied(self, timeout: float | None = None) -> None:
        """Return once its rows are committed in PostgreSQL; needs the control connection.

        Raises: AppliedHeld or AppliedStopped, at once, where the tables do not go on; AppliedParked
                where they went on without it.
        """
        started = time.monotonic()
        self.durable(timeout)  # the event has a number in its lane only then
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
        if not self._promises.applied(self.partition).wait(self.seq, left):
            raise self._late("applied", timeout)
        self._require_unparked()

    async def until_applied(self, timeout: float | None = None) -> None:
        """Like `applied`, in asyncio."""
        started = time.monotonic()
        await self.until_durable(timeout)
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
        if not await self._promises.applied(self.partition).reached(self.seq, left):
            raise self._late("applied", timeout)
        self._require_unparked()

    def _require_unparked(self) -> None:
        """The lane passes a parked event: that it is behind the mark does not say it is applied."""
        parked = self._promises.parked.of_event(self.stream, self.seq)
        if parked is not None:
            raise parked_error(parked)

    def _late(self, promise: str, timeout: float | None) -> ReceiptTimeout:
        return ReceiptTimeout(
            f"event {self.event_id} is not {promise} after {timeout} s",
            where=f"stream {self.stream}, partition {self.partition}, "
            f"seq {self.seq or 'not given'}",
            remedy="it may still become so; `memferry status` shows where events wait",
        )


def parked_error(parked: ParkedStream) -> AppliedParked:
    """Return what is told to those who wait for a stream that is parked."""
    stream = parked.stream
    return AppliedParked(
        f"stream {stream!r} waits in PostgreSQL: event {parked.seq}, a {parked.type}, is parked: "
        f"{parked.reason.partition(chr(10))[0]}",
        where=parked.place,
        remedy=f"the event is in the log; `memferry parked show {stream}` says what is wrong, "
        f"`memferry parked retry {stream}` applies what waits once it is mended",
    )
