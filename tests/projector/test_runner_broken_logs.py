"""Logs that nobody could have written rightly: each fault stops its own partition, by name."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

from compose.stack import Stack
from projector.audit.run import audit
from projector.lanes import ForeignSource, RecordRefused
from projector.progress import Progress
from projector.status import Status, read_status
from schemas import envelope
from schemas.lane import (
    ChainBroken,
    DuplicateDiffers,
    EpochFell,
    LaneId,
    SequenceGap,
)
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.doctored import doctored
from tests.projector.projecting import project

Lane = list[bytes]


def with_attributes(event: bytes, **changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(event) | changes)


def instead(lane: Lane, place: int, event: bytes | None) -> list[bytes | None]:
    return [*lane[:place], event, *lane[place + 1 :]]


def continued(lane: Lane, event: bytes) -> Lane:
    """The first three events and one whose chain and number fit behind them."""
    return [*lane[:3], with_attributes(event, chain=envelope.digest(lane[2]), seq="4")]


class Fault(NamedTuple):
    """What is done to a lane of six events, and what must be said: error, seq, offset."""

    doctor: Callable[[Lane], list[Any]]
    error: type[Exception]
    seq: int | None
    offset: int


FAULTS = {
    "a hole": Fault(lambda lane: lane[:2] + lane[3:], SequenceGap, 4, 2),
    "the first event missing": Fault(lambda lane: lane[1:], SequenceGap, 2, 0),
    "a swapped pair": Fault(
        lambda lane: [*lane[:2], lane[3], lane[2], *lane[4:]], SequenceGap, 4, 2
    ),
    # The altered event still fits the one before it: the one behind it gives it away.
    "an altered byte in the data": Fault(
        lambda lane: instead(lane, 2, lane[2].replace(b'"Ada"', b'"Eve"')), ChainBroken, 4, 3
    ),
    "an altered chain": Fault(
        lambda lane: instead(lane, 2, with_attributes(lane[2], chain="0" * 64)), ChainBroken, 3, 2
    ),
    "another event under an applied number": Fault(
        lambda lane: [*lane[:3], lane[2].replace(b'"Ada"', b'"Eve"'), *lane[3:]],
        DuplicateDiffers, 3, 3,
    ),
    "a fallen epoch": Fault(
        lambda lane: continued(lane, with_attributes(lane[3], epoch=0)), EpochFell, 4, 3
    ),
    "a foreign source": Fault(
        lambda lane: [*lane[:3], with_attributes(lane[3], source="app-9"), *lane[3:]],
        ForeignSource, 4, 3,
    ),
    "garbage": Fault(lambda lane: instead(lane, 3, b"\xffgarbage"), RecordRefused, None, 3),
    "no value": Fault(lambda lane: instead(lane, 3, None), RecordRefused, None, 3),
    "an envelope without a number": Fault(
        lambda lane: instead(lane, 3, with_attributes(lane[3], seq="four")), RecordRefused, None, 3
    ),
}  # fmt: skip
PARTITION = {name: partition for partition, name in enumerate(FAULTS)}
SOUND = len(FAULTS)


class Outcome(NamedTuple):
    settings: Settings
    app: App
    progress: Progress
    status: Status


@pytest.fixture(scope="module")
def outcome(
    stack: Stack, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Outcome]:
    """One topic, a fault in every partition but one, and one run of a projector over it."""
    doctors = [*(fault.doctor for fault in FAULTS.values()), list]
    app = doctored(stack, broker, tmp_path_factory.mktemp("broken"), doctors)
    settings = app.settings

    async def run() -> Outcome:
        progress = await project(settings)
        return Outcome(settings, app, progress, await read_status(settings, DOMAIN))

    yield asyncio.run(run())
    app.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_its_partition_naming_lane_seq_and_offset(
    outcome: Outcome, fault: str
) -> None:
    partition, wanted = PARTITION[fault], FAULTS[fault]

    error = outcome.progress.stopped[partition]

    assert type(error) is wanted.error
    assert f"partition {partition}, offset {wanted.offset}" in error.where
    if wanted.seq is not None:
        source = "app-9" if fault == "a foreign source" else "app-1"
        assert f"lane {LaneId(source, 1, partition)}, seq {wanted.seq}," in error.where
    assert error.remedy


@pytest.mark.parametrize("fault", FAULTS)
def test_status_says_why_a_partition_stopped_and_where(outcome: Outcome, fault: str) -> None:
    shown = outcome.status.partitions[PARTITION[fault]]

    assert shown.stopped == str(outcome.progress.stopped[shown.partition])
    assert shown.next_offset == FAULTS[fault].offset
    assert shown.lag == shown.end_offset - shown.next_offset


def test_everything_before_the_faults_and_in_the_sound_partition_is_applied(
    outcome: Outcome, database: psycopg.Connection[Any]
) -> None:
    found = {row[0] for row in tables(database, outcome.settings.projection)["accounts"]}

    for fault, partition in PARTITION.items():
        names = accounts_in(partition, 6, SOUND + 1)
        applied = 3 if "applied number" in fault else FAULTS[fault].offset
        assert [name in found for name in names] == [place < applied for place in range(6)], fault
    assert set(accounts_in(SOUND, 6, SOUND + 1)) <= found
    assert outcome.status.partitions[SOUND].stopped == ""
    assert SOUND not in outcome.progress.stopped


async def test_the_tables_equal_the_fold_of_the_log_up_to_the_faults(outcome: Outcome) -> None:
    result = await audit(outcome.settings, DOMAIN, with_memory=False)

    assert result.all_equal, result.findings


async def test_started_again_it_stops_at_the_same_places(outcome: Outcome) -> None:
    again = await project(outcome.settings)

    assert again.applied == 0
    assert {p: str(e) for p, e in again.stopped.items()} == {
        p: str(e) for p, e in outcome.progress.stopped.items()
    }
