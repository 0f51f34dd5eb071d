"""Recorded collections and watched containers: extracted, mapped and compared as others are."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from eventlog.extraction.held import held_by_shim
from eventlog.extraction.survey import survey
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.shim import Ferry
from schemas.domain import Domain
from schemas.extraction import Selection
from schemas.settings import Outbox, Settings
from tests.eventlog.app import DEADLINE_S, IDENTITY, rows_of


@dataclass
class Position:
    symbol: str
    quantity: Decimal


class Desk:
    """An app with a recorded dict, a recorded list, and a container that is watched."""

    def __init__(self, ferry: Ferry) -> None:
        mark: Any = ferry.entity(stream="position", key="symbol")
        mark(Position)
        self.positions: Any = ferry.dict("positions", Position)
        self.notes: Any = ferry.list("notes", str)
        self.limits = {"EUR": 5, "USD": 7}
        ferry.watch("limits", self.limits, int)
        ferry.watch_app(self, "desk")


@pytest.fixture
def ferry(tmp_path: Path) -> Iterator[Ferry]:
    path = tmp_path / "outbox.db"
    settings = Settings(source="app-1", topic="t", outbox=Outbox(path=str(path)))
    ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), Domain("app", (), ""))
    yield ferry
    ferry.close(DEADLINE_S)


def streams(ferry: Ferry) -> list[str]:
    ferry.flush(DEADLINE_S)
    return [row.stream for row in rows_of(ferry.settings.outbox_path) if row.partition >= 0]


def snapshot(ferry: Ferry) -> None:
    ferry.snapshot()
    assert ferry.snapshot_done.wait(DEADLINE_S)
    assert ferry.snapshot_error is None


def test_what_collections_hold_is_counted_by_field(ferry: Ferry) -> None:
    desk = Desk(ferry)
    desk.positions["BTC"] = Position("BTC", Decimal(2))
    desk.positions["ETH"] = Position("ETH", Decimal(3))
    desk.notes.append("bought")

    found = survey(held_by_shim(ferry), Selection(sample=1), datetime.now(UTC))

    by_kind = {kind.kind: kind for kind in found}
    assert {name: kind.selected for name, kind in by_kind.items()} == {
        "position": 2, "notes": 1, "limits": 2
    }  # fmt: skip
    assert [(f.field, f.low, f.high) for f in by_kind["position"].fields] == [
        ("symbol", None, None), ("quantity", "2", "3")
    ]  # fmt: skip


def test_collections_and_watched_containers_are_mapped(ferry: Ferry) -> None:
    desk = Desk(ferry)
    desk.positions["BTC"] = Position("BTC", Decimal(2))
    desk.limits.update({str(number): number for number in range(200)})
    desk.forgotten = [Position("X", Decimal(1))]  # type: ignore[attr-defined]

    found = ferry.describe().walked

    assert [one.path for one in found.unmapped] == ["desk.forgotten"]
    assert found.paths == {"limits": "desk.limits"}


def test_a_second_snapshot_records_what_no_block_captured(ferry: Ferry) -> None:
    desk = Desk(ferry)
    desk.positions["BTC"] = Position("BTC", Decimal(2))
    snapshot(ferry)
    before = streams(ferry)
    desk.limits["EUR"] = 6
    desk.limits["GBP"] = 1
    del desk.limits["USD"]
    uncaptured = ferry.uncaptured("limits")

    snapshot(ferry)

    assert sorted(uncaptured) == ["EUR", "GBP", "USD"]
    assert sorted(streams(ferry)[len(before) :]) == ["limits/EUR", "limits/GBP", "limits/USD"]
    assert ferry.uncaptured("limits") == []


def test_a_second_snapshot_leaves_alone_what_a_coroutine_is_changing(ferry: Ferry) -> None:
    desk = Desk(ferry)
    snapshot(ferry)
    before = streams(ferry)
    seen: list[list[str]] = []

    async def run() -> None:
        changed, go = asyncio.Event(), asyncio.Event()

        @ferry.mutates("limits", key="EUR")
        async def change() -> None:
            desk.limits["EUR"] = 6
            changed.set()
            await go.wait()
            desk.limits["EUR"] = 7

        changing = asyncio.create_task(change())
        await changed.wait()
        await asyncio.to_thread(snapshot, ferry)
        seen.append(streams(ferry)[len(before) :])
        go.set()
        await changing

    asyncio.run(run())

    assert seen == [[]]
    assert streams(ferry)[len(before) :] == ["limits/EUR"]
