"""A switch in which something fails, comes late, or is not alone."""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg

from projector.migration import fences
from projector.migration.fences import Fence
from projector.sql import query
from schemas.settings import Outbox, Settings
from tests.eventlog.app import opened, refuse_commits
from tests.eventlog.deciding import SHORT_MS, decide, record, state, tell
from tests.eventlog.writer import Writer
from tests.projector.waiting import until, until_blocked_by

MakeWriter = Callable[..., Writer]
Ask = Callable[..., Fence]


def test_a_halted_shim_refuses_and_says_why(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    refuse_commits(writer.settings.outbox_path)
    writer.ferry.record(opened("a"))
    until(lambda: writer.ferry.durable._error, "the outbox to fail")

    fence = ask("cutover")

    answer = writer.wait_until_said(fence.id, "refused")
    assert "the outbox could not commit" in answer.detail
    assert writer.ferry.fence.left() == 0
    assert not decide(database, fence, "app-1")


def test_an_outbox_that_fails_under_the_barriers_refuses(writer: Writer, ask: Ask) -> None:
    refuse_commits(writer.settings.outbox_path)

    fence = ask("switch_back")

    answer = writer.wait_until_said(fence.id, "refused")
    assert "the outbox could not commit" in answer.detail


def test_a_connection_that_is_cut_costs_nothing_but_time(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("cutover")
    heads = writer.wait_until_said(fence.id, "fenced").heads
    lease = writer.ferry.fence.leases[fence.id]
    mutation = record(writer)

    writer.cut()
    writer.apply()

    assert writer.wait_until_said(fence.id, "caught_up").heads == heads
    assert writer.ferry.fence.leases == {fence.id: lease}
    assert mutation.still_waits()
    assert decide(database, fence, "app-1")
    writer.cut()
    assert writer.wait_until_said(fence.id, "opened").heads == heads
    mutation.end()


def test_a_lease_that_ends_without_a_connection_is_reported_with_the_next_one(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    fence = ask("cutover", SHORT_MS)
    writer.wait_until_said(fence.id, "fenced")
    with psycopg.connect(writer.settings.postgres.dsn) as blocking:
        blocking.execute("SELECT FROM memferry.fence WHERE id = %s FOR UPDATE", (fence.id,))
        until_blocked_by(database, blocking)  # the writer tells of its lease's end

        before = set(writer.backends())
        writer.cut()
        until(lambda: before.isdisjoint(writer.backends()), "the connection's end")

    assert writer.wait_until_said(fence.id, "opened").pause_ms
    assert state(database, fence)[0] == "aborted"


def test_a_fence_that_was_asked_for_before_the_app_came_is_taken(
    make_writer: MakeWriter, ask: Ask
) -> None:
    writer = make_writer()
    fence = ask("cutover")

    writer.start()

    assert writer.said(fence.id) == "fenced"


def test_a_switch_needs_every_source(
    make_writer: MakeWriter, settings: Settings, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    one = make_writer().start()
    place = Outbox(path="other.db")
    other = make_writer(msgspec.structs.replace(settings, source="app-2", outbox=place)).start()

    fence = ask("cutover")

    one.wait_until_said(fence.id, "fenced")
    other.wait_until_said(fence.id, "fenced")
    one.apply()
    one.wait_until_said(fence.id, "caught_up")
    assert other.said(fence.id) == "fenced"
    assert not decide(database, fence, "app-1", "app-2")
    other.apply()
    other.wait_until_said(fence.id, "caught_up")
    assert decide(database, fence, "app-1", "app-2")


def test_a_fence_of_another_projection_is_not_taken(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    foreign = ask("cutover", projection="another")

    fence = ask("hold")

    writer.wait_until_said(fence.id, "fenced")
    assert writer.answer(foreign.id) is None
    assert list(writer.ferry.fence.leases) == [fence.id]
    fences.abort(database, foreign.id, "the end of the test")


def test_a_cutover_within_a_hold_opens_nothing_but_itself(
    writer: Writer, ask: Ask, database: psycopg.Connection[Any]
) -> None:
    hold = ask("hold")
    writer.wait_until_said(hold.id, "fenced")
    cutover = ask("cutover")
    writer.wait_until_said(cutover.id, "fenced")
    mutation = record(writer)

    fences.abort(database, cutover.id, "why not")

    writer.wait_until_said(cutover.id, "opened")
    assert mutation.still_waits()
    database.execute(query("fence_release"), (hold.id,))
    tell(database, hold)
    mutation.end()
