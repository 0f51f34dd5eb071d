"""Reads never move to tables that lack parked events, whenever in a migration one is parked."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from projector.route import read_route
from tests.projector.migration.stage import Stage, at
from tests.projector.parking_by_hand import park, unpark


@pytest.fixture(scope="module")
def trading(make_module_stage: Callable[[], Stage]) -> Iterator[Stage]:
    """One app for all gates, which lost nothing in the end."""
    stage = make_module_stage()
    stage.write()
    yield stage
    assert stage.migration().run().state == "finished"
    stage.rest()
    stage.require_nothing_lost()


@pytest.mark.parametrize(
    "phase",
    [
        "PREPARING", "INCREMENTAL_SYNC", "VALIDATION", "CUTOVER_PREPARATION", "CUTOVER",
        "POST_CUTOVER_VALIDATION",
    ],
)  # fmt: skip
def test_a_gate_is_closed_while_anything_is_parked(
    trading: Stage, database: psycopg.Connection[Any], phase: str
) -> None:
    name = trading.settings.projection

    def act() -> None:
        park(database, name, "account/nobody", seq=1, partition=0, offset=1_000_000)

    try:
        result = trading.migration(at(phase, act)).run()
    finally:
        unpark(database, name)

    assert (result.state, result.phases[-1].phase) == ("undone", phase)
    assert result.phases[-1].outcome == "closed"
    assert "account/nobody" in result.reason
    assert "memferry parked retry --all" in result.next_step
    assert result.route == read_route(database, name).route == "memory"
    trading.wrote_on()
