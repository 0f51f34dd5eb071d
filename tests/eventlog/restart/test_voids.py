"""Void events are none of a restart's, nor of what a rollback is prepared from: whichever way."""

from typing import Any

import msgspec
import psycopg
import pytest

from eventlog.restart.log import LogCut
from eventlog.restart.unusable import TablesUnusable
from eventlog.rollback_commit import commit
from projector.runner import Projector
from schemas.lane import LaneHead
from schemas.position import FIRST_GENERATION
from schemas.requests import RollbackReady
from schemas.void import OPEN_END, Span, Void
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import closed, deposited, opened, taken
from tests.eventlog.restart.life import PARTITIONS, Life
from tests.eventlog.rolling import FENCE, ask, fenced, go_back, go_forward, here, ready
from tests.projector.projecting import ends


def begin(life: Life) -> None:
    life.ferry.record_all([opened("a"), opened("b"), opened("ended"), closed("ended")])
    life.ferry.record_all([taken("m", n) for n in range(1, 4)])


def go_on(life: Life) -> None:
    life.ferry.record_all([deposited("a", 5, 5), closed("b"), opened("new"), opened("ended")])
    life.ferry.record_all([taken("m", n) for n in range(4, 9)])


async def position(life: Life) -> dict[str, Any]:
    """Everything so far is in the topic; return where that is."""
    life.send()
    return {"lanes": here(life.ferry), "offsets": await ends(life.settings)}


async def test_what_is_void_does_not_come_back_whichever_way(life: Life) -> None:
    begin(life)
    at = await position(life)
    await life.apply()
    before = life.memory()
    go_on(life)
    void = go_back(life.ferry, at["lanes"])
    life.ferry.record_all([deposited("a", 1, 1), taken("m", 4)])
    life.send()
    await life.apply()
    life.ferry.record(deposited("b", 2, 2))
    after = life.memory()

    for way in ("outbox", "tables", "log"):
        if way != "outbox":
            life.prune()

        assert life.restart(way) == {"account": way, "reading": way}

        assert life.memory() == after
    assert after["account"].keys() == before["account"].keys()
    assert void in life.ferry.voids.in_force


async def test_tables_that_hold_what_is_void_are_left_for_the_log(
    life: Life, database: psycopg.Connection[Any]
) -> None:
    begin(life)
    at = await position(life)
    go_on(life)
    life.send()
    await life.apply()
    go_back(life.ferry, at["lanes"])
    life.send()
    life.prune()
    before = life.memory()

    assert life.restart() == {"account": "log", "reading": "log"}

    assert life.memory() == before
    with pytest.raises(TablesUnusable, match="do not obey the same voids"):
        life.restart("tables")
    life.start("log")
    obeyed = [[void, life.settings.source] for void in life.ferry.voids.in_force]
    database.execute(
        "UPDATE memferry.projection SET voids = %s::jsonb WHERE name = %s",
        (msgspec.json.encode(obeyed).decode(), life.settings.projection),
    )
    assert life.restart("tables") == {"account": "tables", "reading": "tables"}


async def test_tables_that_obey_what_was_reversed_are_left_for_the_log(life: Life) -> None:
    begin(life)
    at = await position(life)
    await life.apply()
    go_on(life)
    late = life.memory()
    void = go_back(life.ferry, at["lanes"])
    life.send()
    await life.apply()
    go_forward(life.ferry, void)
    life.send()
    life.prune()

    assert life.restart() == {"account": "log", "reading": "log"}

    assert life.memory() == late


@pytest.mark.parametrize("way", ["tables", "tables beyond", "log"])
async def test_a_rollback_is_prepared_from_what_there_is(life: Life, way: str) -> None:
    begin(life)
    at = await position(life)
    before = life.memory()
    void = ask(life.ferry, at["lanes"]).void
    if way.startswith("tables"):
        await life.apply()
        at["shadow"] = life.settings.projection
    go_on(life)
    life.send()
    life.prune()
    life.ferry.record(deposited("a", 1, 6))  # in the outbox alone
    if way == "tables beyond":
        await apply_assuming(life, void, at["lanes"])
    if way.startswith("tables"):
        for partition, offset in at["offsets"].items():
            life.cut(partition, offset)  # nothing else says what was before

    question = ask(life.ferry, void=void, **at)
    answer = ready(life.ferry, question)

    assert answer == RollbackReady(5, 5)
    with fenced(life.ferry, void):
        commit(life.ferry, FENCE, void)
    assert life.memory() == before


async def test_a_reversal_is_prepared_from_the_topic(life: Life) -> None:
    begin(life)
    at = await position(life)
    go_on(life)
    late = life.memory()
    void = go_back(life.ferry, at["lanes"])
    life.send()
    life.prune()

    go_forward(life.ferry, void)

    assert life.memory() == late


async def test_what_can_not_be_read_is_not_prepared(life: Life) -> None:
    begin(life)
    at = await position(life)
    go_on(life)
    life.send()
    life.prune()
    for partition, offset in at["offsets"].items():
        life.cut(partition, offset)

    with pytest.raises(LogCut):
        ready(life.ferry, ask(life.ferry, **at, shadow="no_such"))

    assert life.ferry.rollbacks.touched is None


async def apply_assuming(life: Life, void: str, lanes: dict[int, LaneHead]) -> None:
    """The tables hold all that Kafka does, but for what is to be void."""
    spans = {p: Span(lanes[p].seq if p in lanes else 0, OPEN_END) for p in range(PARTITIONS)}
    assumed = Void(void, life.settings.source, FIRST_GENERATION, spans)
    until = await ends(life.settings)
    await Projector(life.settings, DOMAIN, until=until, assumed=(assumed,)).run()
