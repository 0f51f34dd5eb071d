from collections.abc import Callable

import psycopg
import pytest

from tests.compose.cli.conftest import Done, Ledger
from tests.projector.app import tables


def test_a_position_is_reached_and_held_until_the_replay_to_the_end(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    environment = projected.environment

    there = memferry("replay", "--to-offset", "0:3,1:0,2:7", environment=environment)
    refused = memferry("project", "--until-end", environment=environment)
    audited = memferry("audit", "--without-memory", "--json", environment=environment)
    back = memferry("replay", "--to-end", "--json", environment=environment)

    assert there.code == 0
    assert "is at 0:3,1:0,2:7 and holds there until" in " ".join(there.out.split())
    assert refused.code == 2
    assert "is not live" in refused.said
    assert (audited.code, audited.json()["position"]) == (0, "0:3,1:0,2:7")
    done = back.json()
    assert (done["projection"], done["way"]) == (projected.settings.projection, "swap")
    assert (done["position"], done["state"]) == ("0:7,1:7,2:7", "live")
    assert (done["parked_streams"], bool(done["kept"])) == (0, True)
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        assert tables(conn, projected.settings.projection) == projected.app.expected()


def test_a_savepoint_is_a_target(projected: Ledger, memferry: Callable[..., Done]) -> None:
    environment = projected.environment
    memferry("replay", "--to-offset", "0:1,1:2,2:3", environment=environment)
    memferry("savepoint", "take", "early", environment=environment)
    memferry("replay", "--to-end", environment=environment)

    done = memferry("replay", "--to-savepoint", "early", "--json", environment=environment)

    assert (done.code, done.json()["state"]) == (0, "held")
    assert done.json()["position"] == "0:1,1:2,2:3"


@pytest.mark.parametrize(
    "target",
    [[], ["--to-end", "--to-offset", "0:0,1:0,2:0"], ["--to-savepoint", "a", "--to-end"]],
    ids=["none", "two", "two others"],
)
def test_exactly_one_target_is_wanted(
    ledger: Ledger, memferry: Callable[..., Done], target: list[str]
) -> None:
    done = memferry("replay", *target, environment=ledger.environment)

    assert done.code == 2
    assert "exactly one target" in done.said
    assert "give --to-offset, --to-time, --to-event" in done.said


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (["--to-offset", "0:999,1:0,2:0"], "the nearest position is --to-offset 0:7,1:0,2:0"),
        (["--to-offset", "0:1,1:2"], "partitions [2] are not named"),
        (["--to-offset", "0:1,1:2,2:3,3:4"], "partition 3 does not exist: the topic has 3"),
        (["--to-offset", "0:1,1:2,1:3"], "partition 1 is named twice"),
        (["--to-offset", "yesterday"], "'yesterday' is not an offset"),
        (["--to-offset", "5"], "'5' is not an offset"),
        (["--to-savepoint", "nowhere"], "there is no savepoint 'nowhere'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_target_changes_nothing_and_says_what_is_right(
    projected: Ledger, memferry: Callable[..., Done], target: list[str], said: str
) -> None:
    done = memferry("replay", *target, environment=projected.environment)

    assert done.code == 2
    assert said in done.said
    assert "next" in done.said
    with psycopg.connect(projected.settings.postgres.dsn) as conn:
        assert tables(conn, projected.settings.projection) == projected.app.expected()
