"""Projectors run by tests: to the end of the log, or beside the test until it is done."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from projector.log import Log
from projector.progress import Progress
from projector.runner import Projector
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN

_POLL_S = 0.01


async def ends(settings: Settings) -> dict[int, int]:
    """Return the offset behind each partition's last record."""
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
        return {partition: end for partition, (_, end) in (await log.bounds()).items()}


async def project(
    settings: Settings,
    until: Mapping[int, int] | None = None,
    domain: Domain = DOMAIN,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Progress:
    """Apply the log up to these offsets; without them, all that it holds now."""
    until = await ends(settings) if until is None else until
    projector = Projector(settings, domain, until=until, on_progress=on_progress)
    return await asyncio.wait_for(projector.run(), 30)


@asynccontextmanager
async def projecting(settings: Settings, domain: Domain = DOMAIN) -> AsyncIterator[Projector]:
    """A projector runs beside the caller, and is stopped at the end."""
    projector = Projector(settings, domain)
    running = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        projector.stop()
        await asyncio.wait_for(running, 30)


async def eventually(condition: Callable[[], object], what: str, within_s: float = 20) -> None:
    """Return once the condition holds; fail, saying for what was waited, after the deadline."""
    try:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None
