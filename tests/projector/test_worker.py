import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from projector.control_tables import establish
from projector.log import Log, LogReplaced
from projector.progress import Progress
from projector.session import Session
from projector.worker import Worker
from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.projecting import project
from tests.projector.segments import offsets_in


async def worked(
    settings: Settings, conn: psycopg.Connection[Any], until: Mapping[int, int]
) -> Progress:
    """Let one worker bring the partitions that `until` names to these offsets."""
    progress = Progress()
    async with Log(settings, kafka_topic(settings.topic, 1)) as log:
        session = Session(
            settings, DOMAIN, establish(conn, settings, DOMAIN, log.partitions), {"app-1"}, (),
            progress=progress, on_progress=lambda _: None, stopping=asyncio.Event(),
        )  # fmt: skip
        with ThreadPoolExecutor(1) as thread:
            await Worker(session, conn, log, thread).run_fixed(list(until), "live", until)
    return progress


async def test_a_worker_applies_its_partitions_and_no_others(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    for partition in range(3):
        app.open(*accounts_in(partition, partition + 2))
    broker.publish(topic, app.rows())

    progress = await worked(topic, database, {1: 3, 2: 4})

    assert progress.applied == 7
    assert progress.partitions.keys() == {1, 2}
    assert offsets_in(database, topic.projection) == {0: 0, 1: 3, 2: 4}
    assert (await worked(topic, database, {0: 2, 2: 4})).applied == 2


async def test_a_topic_that_was_recreated_is_noticed_in_a_partition_that_another_worker_has(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(*accounts_in(0, 20))
    broker.publish(topic, app.rows())
    await project(topic)
    broker.drop_topic(topic)
    broker.make_topics(topic, control=False)
    for partition in range(3):
        broker.send(topic, partition, [b"%d" % number for number in range(30)])

    with pytest.raises(LogReplaced) as replaced:
        await worked(topic, database, {1: 30})

    assert replaced.value.partition == 0
    stopped = database.execute(
        "SELECT FROM memferry.checkpoint WHERE projection = %s AND stopped <> ''",
        (topic.projection,),
    ).fetchall()
    assert stopped == []  # it is for the one that has it to say so
