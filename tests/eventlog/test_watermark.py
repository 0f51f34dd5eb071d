"""The marks that receipts wait for, from threads and from asyncio."""

import asyncio
import gc
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from eventlog.receipts import OutcomeUnknown, Watermark
from tests.eventlog.app import DEADLINE_S

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


async def test_those_who_give_up_while_the_mark_rises_are_no_trouble() -> None:
    trouble: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
    mark = Watermark()

    def rise(first: int) -> None:
        for value in range(first, first + 1_000):
            mark.advance(value)

    for first in range(0, 10_000, 1_000):
        waiting = [mark.reached(first + number, 0.003) for number in range(1_000)]
        await asyncio.gather(*waiting, asyncio.to_thread(rise, first))

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
