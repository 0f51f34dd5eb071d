"""Tables and containers that are not there: yet, or any more."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from projector.audit.audit_actions import next_command
from projector.audit.audit_report import findings_of
from projector.audit.fold_state import FoldState
from projector.audit.fold_store import FoldStore
from projector.audit.run import audit
from schemas.derived.kind import derive_kind
from schemas.domain import Domain
from schemas.envelope import Envelope
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN, Account
from tests.projector.audit.conftest import OPENED, Live
from tests.projector.projecting import eventually, projecting


class Item(msgspec.Struct, frozen=True):
    collection: str
    number: int
    value: Decimal


async def test_a_table_that_is_gone_is_a_finding(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
    database.execute(f"DROP TABLE {settings.projection or DOMAIN.name}.readings CASCADE")

    result = await audit(settings, DOMAIN, with_memory=False)

    (found,) = result.findings
    assert (found.witness, found.problem, found.table) == ("tables", "missing", "readings")
    assert found.detail == "the table is not there in the database"
    assert result.unnamed == 4
    assert result.equal == {"accounts": True, "readings": False}
    assert next_command(found) == "memferry sql check"
    assert findings_of([found])[0].observed == "the table is not there in the database"


async def test_a_table_without_any_event_need_not_be_there(
    live: Live, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    live.ferry.close()
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
    late = derive_kind("late", Account, key=["account"])

    result = await audit(settings, DOMAIN.with_kinds([late]), with_memory=False)

    assert result.findings == []
    assert any("table late: the table is not there" in said for said in result.coverage)


async def test_a_container_that_is_not_registered_yet_is_no_finding(
    live: Live, settings: Settings
) -> None:
    live.ferry.close()
    again = eventlog.attach(settings)  # as an app that has just started
    try:
        again.register("reading", live.readings)
        async with projecting(settings) as projector:
            await eventually(lambda: projector.progress.applied >= 10, "the history applied")
            result = await audit(settings, DOMAIN, timeout_s=20)
            assert result.findings == []
            assert any("no container registered" in said for said in result.coverage)

            again.register("account", live.accounts)
            result = await audit(settings, DOMAIN, timeout_s=20)
            assert result.findings == []
            assert not any("no container registered" in said for said in result.coverage)
    finally:
        again.close()


@pytest.mark.parametrize("numbers", [(5, 6, 4, 3), (-1, 0, -2, -3)])
def test_items_at_the_left_of_a_ring_are_older_by_number(numbers: tuple[int, ...]) -> None:
    kind = derive_kind(
        "ring", Item, key=["collection", "number"], stream=["collection"], windowed=True
    )
    state = FoldState(Domain("d", (kind,), ""), FoldStore(None), {"ring": 0})
    for offset, number in enumerate(numbers):
        data = msgspec.json.encode(kind.snapshot(Item("r", number, Decimal(offset))))
        event = Envelope(
            specversion="1.0", id="", source="s", type="app.ring.stated.v1", subject="ring/r",
            time="", seq="1", epoch=0, chain="", data=msgspec.Raw(data),
        )  # fmt: skip
        state.move(state.open(event), "s", 0, offset)

    settled, _ = state.taken()
    assert sorted(one.ordinal for one in settled.values() if one) == sorted(numbers)


async def test_what_waits_for_the_first_snapshot_is_no_alarm_and_is_said(
    settings: Settings, make_live: Callable[..., Live]
) -> None:
    past = {name: Account(name, "Ada", Decimal(7), OPENED) for name in "abc"}
    live = make_live(settings, accounts=past)
    live.deposit("b", 1)  # brings its own state with it
    live.open("d").durable(5)

    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 3, "what was recorded applied")
        before = await audit(settings, DOMAIN, timeout_s=20)
        live.ferry.snapshot()
        assert live.ferry.snapshot_done.wait(10)
        live.accounts["z"] = Account("z", "Eve", Decimal(1), OPENED)
        behind = await audit(settings, DOMAIN, timeout_s=20)

    assert before.all_equal
    assert before.memory_rows["accounts"] == 2
    assert any("2 streams are not in the log yet" in line for line in before.coverage)
    assert [(found.problem, found.key) for found in behind.findings] == [("extra", "z")]
