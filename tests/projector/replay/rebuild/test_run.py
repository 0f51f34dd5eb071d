"""A rebuild of whole topics: what the projector made, in one process or in several."""

from typing import Any

import msgspec
import psycopg
import pytest

from projector.checkpoint import ProjectionHeld
from projector.control_tables import ProjectionMissing, set_state
from projector.lanes import RecordRefused
from projector.progress import Progress
from projector.replay.beside import make
from projector.replay.rebuild import ReplayIncomplete, rebuild
from projector.replay.rebuild.run import shared_out
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.broker import Broker
from tests.projector.projecting import ends, project
from tests.projector.replay.rebuild.histories import publish
from tests.projector.test_any_delivery import stored

EVENTS = 300


def everything(conn: psycopg.Connection[Any], name: str) -> dict[str, Any]:
    """Return all that is stored of a projection, with the reasons of what is parked."""
    reasons = (
        "SELECT partition, record_offset, reason, place FROM memferry.parked "
        "WHERE projection = %s ORDER BY 1, 2"
    )
    return {**stored(conn, name), "reasons": conn.execute(reasons, (name,)).fetchall()}


def small(settings: Settings, batch_events: int) -> Settings:
    projector = msgspec.structs.replace(settings.projector, batch_events=batch_events)
    return msgspec.structs.replace(settings, projector=projector)


@pytest.mark.parametrize(("processes", "seed"), [(1, 1), (2, 2)])
async def test_rebuilt_tables_are_those_of_the_projector_at_any_position(
    settings: Settings,
    broker: Broker,
    database: psycopg.Connection[Any],
    processes: int,
    seed: int,
) -> None:
    publish(broker, settings, EVENTS, seed)
    end = await ends(settings)
    middle = {p: offset // (2 + p) for p, offset in end.items()}
    shown: list[Progress] = []

    live = []
    for until in (middle, end):
        await project(settings, until)
        live.append(everything(database, settings.projection))
    name = make(database, settings.projection, DOMAIN, "shadow")
    rebuilt = []
    for until in (middle, end):
        progress = await rebuild(
            small(settings, 37), DOMAIN, name, until,
            processes=processes, on_progress=lambda p: shown.append(msgspec.structs.replace(p)),
        )  # fmt: skip
        rebuilt.append(everything(database, name))

    assert rebuilt == live
    assert live[1]["parked"]
    assert progress.applied + shown[-1].parked > 0
    assert (shown[-1].lag, shown[-1].applied) == (0, progress.applied)


async def test_a_partition_that_is_broken_stops_there_and_the_others_go_on(
    settings: Settings, broker: Broker, database: psycopg.Connection[Any]
) -> None:
    publish(broker, settings, 20, 3)
    end = await ends(settings)
    broker.send(settings, 0, [b'{"no":"event"}'])
    await project(settings, end)
    name = make(database, settings.projection, DOMAIN, "shadow")

    with pytest.raises(ReplayIncomplete) as raised:
        await rebuild(settings, DOMAIN, name, end | {0: end[0] + 1})

    assert isinstance(raised.value.__cause__, RecordRefused)
    found, expected = stored(database, name), stored(database, settings.projection)
    stopped = {row[0]: row[3] for row in found.pop("checkpoint")}
    expected.pop("checkpoint")
    assert stopped[0]
    assert found == expected


async def test_what_is_not_being_made_is_left_alone(
    settings: Settings, broker: Broker, database: psycopg.Connection[Any]
) -> None:
    publish(broker, settings, 5, 4)
    await project(settings)
    name = make(database, settings.projection, DOMAIN, "shadow")
    set_state(database, name, "held", "")

    with pytest.raises(ProjectionHeld):
        await rebuild(settings, DOMAIN, name, await ends(settings))
    with pytest.raises(ProjectionMissing):
        await rebuild(settings, DOMAIN, "nothing", await ends(settings))


def test_partitions_are_shared_out_by_what_is_left() -> None:
    assert shared_out({0: 5, 1: 90, 2: 40, 3: 50}, 2) == [[1, 0], [3, 2]]
    assert shared_out({0: 5}, 4) == [[0]]
