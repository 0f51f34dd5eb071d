"""Receipts and the marks they wait for, from threads and from asyncio."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from eventlog.receipts import Capability, OutcomeUnknown, ReceiptTimeout, Watermark
from tests.eventlog.app import DEADLINE_S, App, BusyDisk, opened

LOST = OutcomeUnknown("the disk is gone", where="rows 1 to 2", remedy="restart the app")


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as executor:
        yield executor


def start(pool: ThreadPoolExecutor, work: Callable[..., Any], *given: Any) -> "Future[Any]":
    """Begin work in a thread and return once the thread runs."""
    running = threading.Event()

    def run() -> Any:
        running.set()
        return work(*given)

    future = pool.submit(run)
    assert running.wait(DEADLINE_S)
    return future


def test_a_mark_only_rises() -> None:
    mark = Watermark(3)

    mark.advance(5)
    mark.advance(4)

    assert mark.value == 5
    assert mark.wait(5, 0)
    assert not mark.wait(6, 0)


def test_threads_go_on_when_the_mark_reaches_what_they_wait_for(pool: ThreadPoolExecutor) -> None:
    mark = Watermark()
    waiters = {n: start(pool, mark.wait, n, 3 * DEADLINE_S) for n in range(1, 31)}

    mark.advance(20)

    assert all(waiters[n].result(DEADLINE_S) for n in range(1, 21))
    assert not any(waiters[n].done() for n in range(21, 31))
    mark.advance(30)
    assert all(waiters[n].result(DEADLINE_S) for n in range(21, 31))


async def test_tasks_go_on_when_the_mark_reaches_what_they_wait_for() -> None:
    mark = Watermark()
    numbers = random.sample(range(1, 1_001), 1_000)
    tasks = {n: asyncio.create_task(mark.reached(n, DEADLINE_S)) for n in numbers}
    await asyncio.sleep(0)

    await asyncio.to_thread(mark.advance, 600)

    assert await asyncio.gather(*(tasks[n] for n in range(1, 601))) == [True] * 600
    assert not any(tasks[n].done() for n in range(601, 1_001))
    await asyncio.to_thread(mark.advance, 1_000)
    assert all(await asyncio.gather(*tasks.values()))


async def test_a_task_is_woken_at_once_by_a_thread_that_has_no_part_in_its_loop() -> None:
    mark = Watermark()
    thread = threading.Timer(0.05, mark.advance, (1,))  # in a thread of its own
    thread.start()
    started = time.monotonic()

    assert await mark.reached(1, DEADLINE_S)

    assert time.monotonic() - started < DEADLINE_S / 2
    thread.join()


def test_a_thread_waits_no_longer_than_it_said() -> None:
    mark = Watermark()
    started = time.monotonic()

    assert mark.wait(1, 0.05) is False

    assert 0.05 <= time.monotonic() - started < DEADLINE_S


async def test_a_task_waits_no_longer_than_it_said() -> None:
    mark = Watermark()
    started = time.monotonic()

    assert await mark.reached(1, 0.05) is False

    assert 0.04 <= time.monotonic() - started < DEADLINE_S


async def test_a_mark_that_is_there_is_not_waited_for() -> None:
    mark = Watermark(7)
    mark.fail(LOST)

    assert mark.wait(7, 0)
    assert await mark.reached(7, 0)


async def test_a_failure_ends_every_wait_now_and_later(pool: ThreadPoolExecutor) -> None:
    mark = Watermark(1)
    threads = [start(pool, mark.wait, 2 + n, None) for n in range(10)]
    tasks = [asyncio.create_task(mark.reached(2 + n, None)) for n in range(10)]
    await asyncio.sleep(0)

    await asyncio.to_thread(mark.fail, LOST)

    for result in await asyncio.gather(*tasks, return_exceptions=True):
        assert result is LOST
    assert all(thread.exception(DEADLINE_S) is LOST for thread in threads)
    with pytest.raises(OutcomeUnknown):
        mark.wait(2, None)
    with pytest.raises(OutcomeUnknown):
        await mark.reached(2, None)


async def test_those_who_gave_up_leave_nothing_behind() -> None:
    mark = Watermark()
    assert await mark.reached(1, 0.001) is False

    def futures() -> int:
        gc.collect()
        return sum(isinstance(thing, asyncio.Future) for thing in gc.get_objects())

    before = futures()
    for _ in range(10):
        await asyncio.gather(*(mark.reached(1, 0.001) for _ in range(100)))

    assert futures() - before < 300


async def test_a_task_that_is_cancelled_does_not_disturb_the_others() -> None:
    mark = Watermark()
    cancelled, kept = (asyncio.create_task(mark.reached(1, DEADLINE_S)) for _ in range(2))
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    mark.advance(1)

    assert cancelled.cancelled()
    assert await kept


async def test_a_task_that_is_cancelled_at_this_moment_is_no_trouble() -> None:
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    mark = Watermark()
    waiting = asyncio.create_task(mark.reached(1, DEADLINE_S))
    await asyncio.sleep(0)

    mark.advance(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert trouble == []


def test_a_loop_that_ended_while_it_waited_is_no_trouble() -> None:
    mark = Watermark()

    async def leave_waiting() -> None:
        waiting = asyncio.create_task(mark.reached(1, None))
        await asyncio.sleep(0)
        assert not waiting.done()

    for _ in range(3):
        asyncio.run(leave_waiting())

    mark.advance(1)

    assert asyncio.run(mark.reached(1, None))


class ClosingLoop(asyncio.SelectorEventLoop):
    """A loop that closes between being asked whether it is closed and being called."""

    closing = False

    def is_closed(self) -> bool:
        was = super().is_closed()
        if self.closing:
            self.closing = False
            self.close()
        return was


@pytest.mark.parametrize("end", [lambda mark: mark.advance(1), lambda mark: mark.fail(LOST)])
def test_a_loop_that_ends_at_this_moment_is_no_trouble(end: Callable[[Watermark], None]) -> None:
    mark = Watermark()
    loop = ClosingLoop()
    waiting = loop.create_task(mark.reached(1, None))
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.closing = True

    end(mark)

    assert loop.is_closed()

    assert not waiting.done()


async def test_waiters_come_and_go_while_the_mark_rises(pool: ThreadPoolExecutor) -> None:
    mark = Watermark()
    last = 3_000

    def rise() -> None:
        for value in range(1, last + 1):
            mark.advance(value)

    threads = [pool.submit(mark.wait, n, DEADLINE_S) for n in random.sample(range(last), 20)]
    rising = pool.submit(rise)
    found = await asyncio.gather(
        *(mark.reached(n, DEADLINE_S) for n in random.choices(range(1, last + 1), k=500))
    )

    assert all(found)
    assert all(thread.result(DEADLINE_S) for thread in threads)
    rising.result(DEADLINE_S)


async def test_a_receipt_is_durable_once_the_disk_has_it(app: App) -> None:
    with BusyDisk(app.path):
        receipt = app.ferry.record(opened("a"))

        for wait in (receipt.durable, lambda t: asyncio.run(receipt.until_durable(t))):
            with pytest.raises(ReceiptTimeout) as caught:
                await asyncio.to_thread(wait, 0.01)
            assert "is not durable after 0.01 s" in caught.value.what
            assert "account/a" in caught.value.where
            assert caught.value.remedy
        assert receipt.seq == 0

    await receipt.until_durable(DEADLINE_S)
    receipt.durable(0)
    assert (receipt.row, receipt.seq) == (1, 1)


async def test_a_promise_that_nobody_can_keep_is_refused(app: App) -> None:
    receipt = app.ferry.record(opened("a"))

    with pytest.raises(Capability, match="not attached to a relay"):
        receipt.replicated(0)
    with pytest.raises(Capability, match="not attached to a relay"):
        await receipt.until_replicated(0)
    with pytest.raises(Capability, match="no control connection") as caught:
        receipt.applied(DEADLINE_S)
    with pytest.raises(Capability, match="no control connection"):
        await receipt.until_applied(DEADLINE_S)
    assert caught.value.remedy


async def test_replicated_and_applied_wait_for_marks_of_their_own(app: App) -> None:
    receipt = app.ferry.record(opened("a"))
    receipt.durable(DEADLINE_S)
    sent, applied = Watermark(), Watermark()
    app.ferry.promises.serve_replicated(sent)
    app.ferry.promises.serve_applied({receipt.partition: applied})

    for promise in (receipt.replicated, receipt.applied):
        with pytest.raises(ReceiptTimeout):
            promise(0.01)
    for waiting in (receipt.until_replicated(0.01), receipt.until_applied(0.01)):
        with pytest.raises(ReceiptTimeout):
            await waiting
    sent.advance(receipt.row)
    applied.advance(receipt.seq)

    receipt.replicated(0)
    receipt.applied(0)
    await receipt.until_replicated(0)
    await receipt.until_applied(0)


def test_one_app_may_wait_in_one_loop_after_another(app: App) -> None:
    for number in range(3):
        receipt = app.ferry.record(opened(str(number)))
        asyncio.run(receipt.until_durable(DEADLINE_S))

    assert app.ferry.durable.value == 3
