"""Waiting for whichever comes first, in one event loop."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any


async def any_of(*waits: Coroutine[Any, Any, object]) -> None:
    """Return once one of these has returned, the others being given up; raises what it raised."""
    waiting = [asyncio.create_task(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    for task in done:
        task.result()


async def until_one_ends(works: Sequence[Coroutine[Any, Any, None]], ended: asyncio.Event) -> None:
    """Run works until one returns or raises; then set `ended` and wait for the others.

    The last of them has no end of its own and is cancelled. Raises what was raised first.
    """
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(iter(done))
        ended.set()
        await asyncio.wait(tasks[:-1])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in (first, *tasks[:-1]):
        task.result()
