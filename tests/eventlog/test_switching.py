"""A writer's side of a switch, against the rows that PostgreSQL keeps of it."""

import asyncio
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest

from projector.migration import fences
from projector.migration.fences import Fence
from projector.sql import query
from schemas import envelope
from schemas.control import BarrierPlaced, decode_control
from schemas.settings import Settings
from schemas.table_sums import TableSums
from tests.eventlog.app import DEADLINE_S, BusyDisk, opened, rows_of
from tests.eventlog.attached import Attached
from tests.eventlog.deciding import SHORT_MS, decide, record, state, tell
from tests.eventlog.writer import IN_EFFECT_S, Writer
from tests.projector.projecting import projecting
from tests.projector.waiting import until

Ask = Callable[..., Fence]


def test_a_cutover_is_caught_up_once_its_barriers_are_in_the_tables(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    writer.ferry.record_all([opened(str(number)) for number in range(9)])

    fence = ask("cutover")

    fenced = writer.wait_until_said(fence.id, "fenced")
    mutation = record(writer)
    assert mutation.still_waits()
    assert not decide(database, fence, "app-1")
    assert writer.said(fence.id) == "fenced"
    writer.apply()
    caught_up = writer.wait_until_said(fence.id, "caught_up")
    assert caught_up.heads == fenced.heads
    assert decide(database, fence, "app-1")
    tell(database, fence)
    left = writer.wait_until_said(fence.id, "opened")
    mutation.end()
    assert left.heads == fenced.heads
    assert left.pause_ms is not None
    assert left.pause_ms >= IN_EFFECT_S * 1000
    assert state(database, fence) == ("decided", "")


def test_the_heads_of_an_answer_are_the_barriers_of_its_epoch(writer: Writer, ask: Ask) -> None:
    writer.ferry.record_all([opened(str(number)) for number in range(9)])

    fence = ask("cutover")

    heads = writer.wait_until_said(fence.id, "fenced").heads
    assert sorted(heads) == [0, 1, 2]
    assert fence.epoch > 1
    ((counting, said),) = writer.database.execute(
        "SELECT counting, sums FROM memferry.fence_source WHERE fence = %s", (fence.id,)
    ).fetchall()
    sums = msgspec.convert(said, dict[str, dict[str, TableSums]])
    for row in rows_of(writer.settings.outbox_path):
        event = envelope.decode(row.event)
        if heads.get(row.partition) == row.seq:
            placed = decode_control(event.type, event.data)
            assert isinstance(placed, BarrierPlaced)
            assert (placed.barrier, placed.purpose) == (fence.id, "cutover")
            assert (placed.counting, placed.sums) == (counting, sums[str(row.partition)])
            assert event.epoch == fence.epoch
        else:
            assert event.epoch == 1


def test_a_cutover_waits_for_every_lane(
    writer: Writer, ask: Ask, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    fence = ask("cutover")
    heads = writer.wait_until_said(fence.id, "fenced").heads
    writer.apply()
    writer.wait_until_said(fence.id, "caught_up")
    second_lane = "UPDATE memferry.lane SET seq = %s WHERE projection = %s AND partition = 1"
    fences.abort(database, fence.id, "once more")
    writer.wait_until_said(fence.id, "opened")

    fence = ask("cutover")
    heads = writer.wait_until_said(fence.id, "fenced").heads
    for partition in (0, 2):
        database.execute(
            "UPDATE memferry.lane SET seq = %s WHERE projection = %s AND partition = %s",
            (heads[partition], settings.projection, partition),
        )
    database.execute(second_lane, (heads[1] - 1, settings.projection))
    database.execute("SELECT pg_notify('memferry_applied', %s)", (settings.projection,))
    marks = writer.ferry.promises
    until(lambda: marks.applied(2).value == heads[2], "the writer to know of two lanes")
    hold = ask("hold")
    writer.wait_until_said(hold.id, "fenced")  # it has answered for what it knew

    assert writer.said(fence.id) == "fenced"
    database.execute(second_lane, (heads[1], settings.projection))
    database.execute("SELECT pg_notify('memferry_applied', %s)", (settings.projection,))
    writer.wait_until_said(fence.id, "caught_up")


def test_a_switch_back_is_caught_up_once_its_barriers_are_durable(writer: Writer, ask: Ask) -> None:
    fence = ask("switch_back")

    answer = writer.wait_until_said(fence.id, "caught_up")

    assert sorted(answer.heads) == [0, 1, 2]
    assert record(writer).still_waits()


def test_a_switch_back_waits_for_the_disk(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    with BusyDisk(writer.settings.outbox_path):
        fence = ask("switch_back")
        until(lambda: writer.ferry.fence.leases, "the fence to be taken")

        assert record(writer).still_waits()
        assert writer.said(fence.id) != "caught_up"

    writer.wait_until_said(fence.id, "caught_up")
    assert decide(database, fence, "app-1")


@pytest.mark.parametrize("end", ["fence_decide", "fence_abort", "fence_release"])
def test_a_writer_goes_on_however_the_fence_ends(
    end: str, writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("switch_back")
    writer.wait_until_said(fence.id, "caught_up")
    mutation = record(writer)
    assert mutation.still_waits()

    if end == "fence_decide":
        assert decide(database, fence, "app-1")
    elif end == "fence_abort":
        assert fences.abort(database, fence.id, "why not")
    else:
        database.execute(query("fence_release"), (fence.id,))
    tell(database, fence)

    mutation.end()
    assert writer.wait_until_said(fence.id, "opened").pause_ms


def test_a_hold_puts_no_barrier(writer: Writer, ask: Ask) -> None:
    fence = ask("hold")

    answer = writer.wait_until_said(fence.id, "fenced")

    assert answer.heads == {}
    assert record(writer).still_waits()
    assert rows_of(writer.settings.outbox_path) == []


def test_a_lease_that_ends_aborts_the_row_and_names_the_source(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("cutover", SHORT_MS)
    writer.wait_until_said(fence.id, "fenced")

    record(writer).end()

    assert writer.wait_until_said(fence.id, "opened").pause_ms
    said, reason = state(database, fence)
    assert said == "aborted"
    assert "the lease of source 'app-1' ended" in reason
    writer.apply()
    assert not decide(database, fence, "app-1")


def test_a_decision_that_the_writer_was_not_told_of_stands(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("switch_back", 1_000)
    writer.wait_until_said(fence.id, "caught_up")
    assert decide(database, fence, "app-1")

    writer.wait_until_said(fence.id, "opened")

    assert state(database, fence) == ("decided", "")


def test_a_fence_whose_lease_is_over_is_not_taken(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    over = str(uuid.uuid4())
    database.execute(
        "INSERT INTO memferry.fence (id, projection, purpose, epoch, lease_ms, state, asked_at, "
        "lease_until) VALUES (%s, %s, 'cutover', 2, 60000, 'asked', now(), now())",
        (over, writer.projection),
    )

    later = ask("hold")

    writer.wait_until_said(later.id, "fenced")
    assert writer.answer(over) is None
    assert list(writer.ferry.fence.leases) == [later.id]


def test_a_renewed_lease_lasts_longer(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("hold")
    writer.wait_until_said(fence.id, "fenced")
    leases = [writer.ferry.fence.leases[fence.id]]

    for _ in range(2):
        assert database.execute(query("fence_renew"), (fence.id,)).fetchone()
        until(lambda: writer.ferry.fence.leases[fence.id] > leases[-1], "a longer lease")
        leases.append(writer.ferry.fence.leases[fence.id])

    tell(database, fence)
    assert record(writer).still_waits()
    assert writer.ferry.fence.leases[fence.id] == leases[-1], "nothing was renewed since"


async def test_a_switch_goes_through_with_a_real_projector(
    attached: Attached, settings: Settings, database: psycopg.Connection[Any]
) -> None:
    async with projecting(settings):
        await attached.ferry.record(opened("a")).until_applied(DEADLINE_S)
    database.execute("LISTEN memferry_fence_answer")
    lease = msgspec.structs.replace(settings.migration, max_downtime_ms=60_000)
    patient = msgspec.structs.replace(settings, migration=lease)
    held = attached.ferry.record(opened("b"))
    fence = fences.ask(database, patient, settings.projection, "cutover")
    said = await asyncio.to_thread(
        fences.wait_for, database, fence.id, ["app-1"], ("fenced",), DEADLINE_S
    )
    assert said["app-1"].state == "fenced"

    async with projecting(settings):
        said = await asyncio.to_thread(
            fences.wait_for, database, fence.id, ["app-1"], ("caught_up",), DEADLINE_S
        )

    held.durable(0)
    lanes = database.execute(
        "SELECT partition, seq, epoch FROM memferry.lane WHERE projection = %s AND partition >= 0",
        (settings.projection,),
    ).fetchall()
    assert {p: seq for p, seq, _ in lanes} == said["app-1"].heads
    assert {epoch for *_, epoch in lanes} == {fence.epoch}
    fences.abort(database, fence.id, "the end of the test")
