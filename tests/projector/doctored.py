"""A topic whose lanes were doctored: six accounts are opened in each partition, and then …"""

import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from compose.stack import Stack
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Kafka, Outbox, Postgres, Settings
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker

EVENTS = 6
Doctor = Callable[[list[bytes]], list[Any]]
"""A lane's events → what stands in its partition instead."""


def doctored(stack: Stack, broker: Broker, directory: Path, doctors: Sequence[Doctor]) -> App:
    """Return an app whose topic has a partition for each doctor, as that one left it.

    The app's settings name topic and projection; close it at the end.
    """
    endpoints = stack.endpoints()
    assert endpoints is not None
    name, partitions = f"t{secrets.token_hex(5)}", len(doctors)
    settings = Settings(
        source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=partitions),
        postgres=Postgres(dsn=endpoints.postgres), outbox=Outbox(path="outbox.db"),
        directory=str(directory),
    )  # fmt: skip
    app = App(settings)
    for partition in range(partitions):
        app.open(*accounts_in(partition, EVENTS, partitions))
    broker.make_topics(settings)
    rows = app.rows()
    broker.send_control(settings, [r.event for r in rows if r.partition == CONTROL_PARTITION])
    for partition, doctor in enumerate(doctors):
        lane = [row.event for row in rows if row.partition == partition]
        broker.send(settings, partition, doctor(lane))
    return app
