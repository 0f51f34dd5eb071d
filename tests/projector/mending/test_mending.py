"""Damaged logs whose lanes go on by a decision, at every replay alike."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

from compose.stack import Stack
from projector.audit.run import audit
from projector.control_tables import connect
from projector.control_topic import read_control
from projector.mending.damage import NotMendable
from projector.mending.deciding import NothingToMend, Stopped, mend, stopped_partitions
from projector.mends import read_mends
from schemas import envelope
from schemas.mend import Mend
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, accounts_in, tables
from tests.projector.broker import Broker
from tests.projector.doctored import doctored
from tests.projector.projecting import ends, project
from tests.projector.replaying import replay_to

Lane = list[bytes]


def altered(event: bytes, **changes: Any) -> bytes:
    return msgspec.json.encode(msgspec.json.decode(event) | changes)


def instead(lane: Lane, place: int, *events: bytes | None) -> list[bytes | None]:
    return [*lane[:place], *events, *lane[place + 1 :]]


def fallen(lane: Lane) -> list[bytes | None]:
    """The fourth event has a lower epoch, and all behind it continue it."""
    found = lane[:3]
    for event in lane[3:]:
        chain = envelope.digest(found[-1])
        found.append(altered(event, epoch=0, chain=chain))
    return list(found)


class Damage(NamedTuple):
    """What is done to a lane of six events that open accounts, and whose accounts are lost."""

    doctor: Callable[[Lane], list[bytes | None]]
    lost: set[int]


DAMAGES = {
    "a hole": Damage(lambda lane: [*lane[:2], *lane[3:]], {2}),
    "the first event missing": Damage(lambda lane: list(lane[1:]), {0}),
    "a swapped pair": Damage(lambda lane: [*lane[:2], lane[3], lane[2], *lane[4:]], {2}),
    "an altered byte": Damage(
        lambda lane: instead(lane, 2, lane[2].replace(b'"Ada"', b'"Eve"')), set()
    ),
    "an altered chain": Damage(
        lambda lane: instead(lane, 2, altered(lane[2], chain="0" * 64)), {2}
    ),
    "another event under an applied number": Damage(
        lambda lane: instead(lane, 2, lane[2], lane[2].replace(b'"Ada"', b'"Eve"')), set()
    ),
    "a fallen epoch": Damage(fallen, set()),
    "foreign events": Damage(
        lambda lane: [
            *lane[:3], altered(lane[3], source="app-9"), lane[3],
            altered(lane[4], source="app-9"), *lane[4:],
        ], set(),
    ),
    "garbage between": Damage(lambda lane: [*lane[:3], b"\xffgarbage", None, *lane[3:]], set()),
    "garbage instead": Damage(lambda lane: instead(lane, 3, b"\xffgarbage"), {3}),
}  # fmt: skip
PARTITION = {name: partition for partition, name in enumerate(DAMAGES)}
LAST = len(DAMAGES)
"""Here the newest event of all was altered: nothing behind it says what it had been."""
SOUND = LAST + 1


class Mended(NamedTuple):
    settings: Settings
    app: App
    before: list[Stopped]


@pytest.fixture(scope="module")
def mended(
    stack: Stack, broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Mended]:
    """One topic, a damage in every partition but one; stopped, mended, and gone on."""
    doctors = [
        *(damage.doctor for damage in DAMAGES.values()),
        lambda lane: instead(lane, 5, altered(lane[5], chain="0" * 64)),
        list,
    ]
    app = doctored(stack, broker, tmp_path_factory.mktemp("mended"), doctors)
    settings = app.settings
    yield Mended(settings, app, asyncio.run(stop_and_mend(settings)))
    app.close()


async def stop_and_mend(settings: Settings) -> list[Stopped]:
    stopped = await project(settings)
    assert set(stopped.stopped) == {*PARTITION.values(), LAST}
    with connect(settings, "test") as conn:
        before = await stopped_partitions(conn, settings, settings.projection)
        for partition in PARTITION.values():
            await mend(conn, settings, settings.projection, partition, reason="a test")
    went_on = await project(settings)
    assert set(went_on.stopped) == {LAST}
    return before


def expected(partition: int, lost: set[int]) -> set[str]:
    names = accounts_in(partition, 6, SOUND + 1)
    return {name for place, name in enumerate(names) if place not in lost}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_lane_goes_on_and_loses_no_more_than_was_said(
    mended: Mended, database: psycopg.Connection[Any], damage: str
) -> None:
    found = {row[0] for row in tables(database, mended.settings.projection)["accounts"]}
    partition = PARTITION[damage]

    assert found & expected(partition, set()) == expected(partition, DAMAGES[damage].lost)
    (stopped,) = [one for one in mended.before if one.partition == partition]
    assert stopped.proposals
    assert stopped.proposals[0].mend.at == stopped.offset


async def test_an_audit_obeys_the_mends(mended: Mended) -> None:
    result = await audit(mended.settings, DOMAIN, with_memory=False)

    assert result.all_equal, result.findings


async def test_a_lost_database_has_the_mends_again_from_the_control_topic(
    mended: Mended, database: psycopg.Connection[Any]
) -> None:
    topic = mended.settings.topic
    before = read_mends(database, topic)
    for table, column in (
        ("mend", "topic"), ("decision", "topic"), ("control_lane", "topic"),
        ("control_checkpoint", "topic"),
    ):  # fmt: skip
        database.execute(
            f"DELETE FROM memferry.{table} WHERE {column} IN (%s, %s)", (topic, f"{topic}.control")
        )

    await read_control(database, mended.settings)

    assert len(before) >= len(DAMAGES)
    assert read_mends(database, topic) == before


def test_every_mend_is_in_the_trail(mended: Mended, database: psycopg.Connection[Any]) -> None:
    made = database.execute(
        "SELECT before, after FROM memferry.trail WHERE action = 'mend' AND after ->> 'topic' = %s",
        (mended.settings.topic,),
    ).fetchall()

    assert {after["mend"]["partition"] for _, after in made} == set(PARTITION.values())
    assert all(after["reason"] == "a test" and before["stopped"] for before, after in made)


async def test_an_altered_newest_event_is_not_mended_before_there_is_one_behind_it(
    mended: Mended, database: psycopg.Connection[Any]
) -> None:
    (stopped,) = [one for one in mended.before if one.partition == LAST]

    assert stopped.proposals == []
    assert "none behind it" in stopped.not_mendable


@pytest.mark.parametrize(
    ("partition", "by_hand", "error", "said"),
    [
        (SOUND, None, NothingToMend, "does not stand still"),
        (LAST, None, NotMendable, "none behind it"),
        (LAST, Mend(0, LAST, 0, ignore=(77,)), NotMendable, "would still stop"),
        (LAST, Mend(0, LAST, 0, continue_at=77), NotMendable, "no record at offset 77"),
        (LAST, Mend(0, LAST, 0, ignore=(4, 5)), NotMendable, r"\[4\] were passed already"),
    ],
)
async def test_what_would_not_help_is_refused_and_changes_nothing(
    mended: Mended,
    database: psycopg.Connection[Any],
    partition: int,
    by_hand: Mend | None,
    error: type[Exception],
    said: str,
) -> None:
    settings = mended.settings
    before = read_mends(database, settings.topic)

    with pytest.raises(error, match=said):
        await mend(database, settings, settings.projection, partition, reason="x", by_hand=by_hand)

    assert read_mends(database, settings.topic) == before


async def test_of_two_mends_decided_at_once_one_counts_and_lets_the_lane_go_on(
    mended: Mended, database: psycopg.Connection[Any]
) -> None:
    settings = mended.settings
    before = read_mends(database, settings.topic)
    given = Mend(0, LAST, 0, ignore=(5,))

    with connect(settings, "one") as one, connect(settings, "two") as two:
        decided = await asyncio.gather(
            *(
                mend(conn, settings, settings.projection, LAST, reason="x", by_hand=given)
                for conn in (one, two)
            ),
            return_exceptions=True,
        )
    progress = await project(settings)

    assert sorted(type(each).__name__ for each in decided) == ["NothingToMend", "list"]
    assert len(read_mends(database, settings.topic)) == len(before) + 1
    assert progress.stopped == {}


async def test_a_replay_from_the_beginning_obeys_every_mend(
    mended: Mended, database: psycopg.Connection[Any]
) -> None:
    settings = mended.settings
    before = tables(database, settings.projection)

    to = await ends(settings)

    await replay_to(settings, to)

    assert tables(database, settings.projection) == before
