"""Memory comes back through today's code: old versions are read by their steps, and tables that
other code made are left for the log."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.restart.unusable import TablesUnusable
from eventlog.shim import Ferry
from schemas.control import SourceOpened
from schemas.domain import Domain
from schemas.position import FIRST_GENERATION
from schemas.settings import Restart, Settings
from tests.domains import ledger
from tests.domains.ledger import ACCOUNT, DOMAIN, READING, Account
from tests.domains.versioned import DOMAIN as FEES
from tests.domains.versioned import KIND, Fee, FeeCharged, FeeChargedV1, FeeSnapshotted
from tests.eventlog.app import DEADLINE_S, rows_of
from tests.eventlog.restart.life import Life, begin
from tests.projector.broker import Broker
from tests.projector.projecting import project

PARTITIONS = 3


def other_evolve(account: Account | None, event: Any) -> Account | None:
    evolved = ledger._evolve_account(account, event)
    return evolved and msgspec.structs.replace(evolved, owner=evolved.owner.upper())


OTHER = Domain("ledger", (replace(ACCOUNT, evolve=other_evolve), READING), DOMAIN.ddl)
OLD = Domain(
    "versioned",
    (
        replace(
            KIND,
            events={
                "versioned.fee.charged.v1": FeeChargedV1,
                "versioned.fee.snapshotted.v1": FeeSnapshotted,
            },
            upcasters={},
            evolve=lambda _, event: Fee(event.fee, Decimal(event.cents) / 100, "USD", "not said"),
        ),
    ),
    FEES.ddl,
)
"""What the app was before fees had currencies and reasons."""


@contextmanager
def running(
    settings: Settings, domain: Domain, way: Literal["outbox", "tables", "log"]
) -> Iterator[tuple[Ferry, dict[str, Fee]]]:
    """An app and what it holds, once its memory came back this way."""
    identity = OutboxIdentity(settings.source, settings.topic, FIRST_GENERATION, PARTITIONS)
    given = msgspec.structs.replace(settings, restart=Restart(way))
    ferry = Ferry(given, SqliteOutbox(given.outbox_path, identity), domain)
    fees: dict[str, Fee] = {}
    try:
        ferry.register("fee", fees)
        yield ferry, fees
    finally:
        ferry.close(DEADLINE_S)


async def test_tables_that_other_code_made_are_left_for_the_log(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    await begin(life)
    await life.apply()

    with caplog.at_level(logging.WARNING, logger="memferry.restart"):
        ways = life.restart(domain=OTHER)

    assert ways == {"account": "log", "reading": "tables"}
    assert life.accounts["a"].owner == "ANN"
    assert "rows of 'account' were made with other code (handlers)" in caplog.text
    with pytest.raises(TablesUnusable, match="made with other code"):
        life.restart("tables", domain=OTHER)
    assert life.restart() == {"account": "tables", "reading": "tables"}


async def test_what_was_recorded_as_an_earlier_version_comes_back_as_todays(
    settings: Settings, broker: Broker
) -> None:
    broker.make_topics(settings)
    opening = SourceOpened(
        settings.source, settings.topic, FIRST_GENERATION, PARTITIONS, socket.gethostname(),
        os.getpid(),
    )  # fmt: skip
    with running(settings, OLD, "outbox") as (ferry, fees):
        ferry.record_control(opening)
        ferry.record_all([FeeChargedV1("f", 250), FeeChargedV1("g", 5)])
        before = dict(fees)

    with running(settings, FEES, "outbox") as (ferry, fees):
        assert fees == before
        ferry.record(FeeCharged("h", Decimal(1), "EUR", "late"))
        before = dict(fees)
    broker.publish(settings, rows_of(settings.outbox_path))
    await project(settings, domain=FEES)

    ways: list[Literal["log", "tables"]] = ["log", "tables"]
    for way in ways:
        with running(settings, FEES, way) as (_, fees):
            assert fees == before, way
