"""One process's share of a rebuild: some partitions, from their checkpoints to their ends."""

import asyncio
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import msgspec

from projector.checkpoint import claim, last_applied, stop_partition
from projector.control_tables import connect, establish
from projector.control_topic import read_control
from projector.declared import whole_domain
from projector.log import Log, LogChanged
from projector.mends import read_mends
from projector.progress import Progress
from projector.replay.rebuild.pouring import Pouring
from projector.replay.rebuild.record_batches import RecordBatches
from projector.session import Session
from projector.sql import query
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.void import Void

_FETCH_BYTES = 512 * 1024
"""Of one partition at once, as they are in Kafka: larger ones cost more to receive."""
_SWITCH_INTERVAL_S = 0.0005
_GARBAGE = (100_000, 20, 50)


class Share(msgspec.Struct, frozen=True):
    """What one process is to do."""

    settings: Settings
    projection: str
    until: dict[int, int]
    """Partition → exclusive offset, of this share's partitions alone."""
    assumed: tuple[Void, ...] = ()
    lifted: tuple[str, ...] = ()
    alone: bool = True
    """Whether no other process works on the rebuild."""


async def work(
    share: Share, domain: Domain, progress: Progress, on_progress: Callable[[], None]
) -> bool:
    """Bring a share's partitions to their ends; say whether a new session should go on with it.

    Raises: Fenced, ProjectionHeld, FingerprintChanged, LogChanged, BrokerUnreachable,
            psycopg.Error.
    """
    name = share.projection
    settings = msgspec.structs.replace(share.settings, projection=name)
    topic = kafka_topic(settings.topic, FIRST_GENERATION)
    domain = await whole_domain(settings, domain)
    with closing(connect(settings, f"rebuild {name}")) as conn, ThreadPoolExecutor(1) as thread:
        async with Log(settings, topic) as log:
            projection = establish(conn, settings, domain, log.partitions)
            sources = await read_control(conn, settings)
            session = Session(
                settings, domain, projection, sources, read_mends(conn, settings.topic),
                progress=progress, on_progress=lambda _: on_progress(), stopping=asyncio.Event(),
                assumed=share.assumed, lifted=share.lifted,
            )  # fmt: skip
            held = await asyncio.to_thread(claim, conn, projection, "rebuilding", share.until)
            voids = session.voids(conn)
            offsets, tails = last_applied(conn, name)
            try:
                await log.start_at(offsets | held.offsets, tails | held.tails, ())
            except LogChanged as error:
                if error.partition in held.terms:
                    stop_partition(conn, held, error.partition, str(error))
                raise
        conn.execute(query("commit_soon"))
        fetch_bytes = min(session.fetch_bytes, _FETCH_BYTES)
        async with RecordBatches(settings, topic, fetch_bytes) as batches:
            with _undisturbed():
                await Pouring(
                    session, conn, batches, held, voids,
                    thread=thread, until=share.until, topic=topic, overlapping=share.alone,
                ).run()  # fmt: skip
        return session.again


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let the thread that waits for PostgreSQL take over quickly, and collect garbage seldom."""
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    gc.set_threshold(*_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        sys.setswitchinterval(interval)
