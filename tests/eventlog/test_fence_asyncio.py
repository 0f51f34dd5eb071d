"""Waiting for the fence in asyncio: the loop goes on, and no opening is missed."""

import asyncio
import threading

from eventlog.fence import Fence
from tests.eventlog.app import DEADLINE_S, App, opened
from tests.eventlog.writer import IN_EFFECT_S

LONG_S = 60.0
SHORT_S = 0.1


async def test_an_asyncio_app_waits_without_blocking_its_loop(app: App) -> None:
    await app.ferry.until_open()
    app.ferry.fence.close("f", LONG_S)
    waiting = [asyncio.create_task(app.ferry.until_open()) for _ in range(3)]
    done, _ = await asyncio.wait(waiting, timeout=IN_EFFECT_S)
    assert done == set()

    await asyncio.to_thread(app.ferry.fence.open, "f")

    async with asyncio.timeout(DEADLINE_S):
        await asyncio.gather(*waiting)


async def test_an_asyncio_app_goes_on_when_the_lease_ends(app: App) -> None:
    app.ferry.fence.close("f", SHORT_S)

    async with asyncio.timeout(DEADLINE_S):
        await app.ferry.until_open()

    assert app.ferry.fence.left() == 0
    app.ferry.record(opened("a"))


async def test_an_asyncio_app_waits_for_the_last_lease(app: App) -> None:
    app.ferry.fence.close("first", LONG_S)
    app.ferry.fence.close("second", LONG_S)
    waiting = asyncio.create_task(app.ferry.until_open())
    await asyncio.sleep(0)

    app.ferry.fence.open("first")
    done, _ = await asyncio.wait([waiting], timeout=IN_EFFECT_S)
    assert done == set()
    app.ferry.fence.open("second")

    async with asyncio.timeout(DEADLINE_S):
        await waiting


class OpenedAfterALook(Fence):
    """Opens between the look at it and the waiting."""

    def left(self) -> float:
        found = super().left()
        self.open("f")
        return found


async def test_no_opening_is_missed_however_close_it_is_to_the_look() -> None:
    fence = OpenedAfterALook(threading.RLock())
    fence.close("f", LONG_S)

    async with asyncio.timeout(DEADLINE_S):
        await fence.until_open()
