from collections.abc import Callable

from tests.compose.cli.conftest import Done, Ledger, Running
from tests.projector.app import accounts_in


def test_it_ends_once_a_projector_has_applied_what_the_topic_holds(
    projected: Ledger, memferry: Callable[..., Done], start: Callable[..., Running]
) -> None:
    environment = projected.environment
    projected.app.deposit(accounts_in(1, 1)[0], 1)
    projected.broker.publish(projected.settings, projected.app.rows()[-1:])
    waiting = start("wait", "--to-end", "--timeout", "25", environment=environment)
    late = memferry("wait", "--receipt", "app-1:1:8", "--timeout", "0", environment=environment)

    assert memferry("project", "--until-end", environment=environment).code == 0
    done = waiting.done()
    found = memferry("wait", "--receipt", "app-1:1:8", "--json", environment=environment)

    assert (late.code, late.out) == (
        1,
        "not within 0 s: event 8 of source app-1, partition 1: "
        "the projector has not applied it yet\n",
    )
    assert (done.code, done.out) == (0, "the tables hold position 0:7,1:8,2:7\n")
    assert found.code == 0
    assert found.json() == {
        "projection": projected.settings.projection,
        "goal": "event 8 of source app-1, partition 1",
        "reached": True,
        "obstacles": [],
    }


def test_a_held_projection_says_so(projected: Ledger, memferry: Callable[..., Done]) -> None:
    environment = projected.environment
    memferry("replay", "--to-offset", "0:3,1:3,2:3", environment=environment)

    here = memferry("wait", "--to-offset", "0:3,1:3,2:3", environment=environment)
    beyond = memferry(
        "wait", "--to-offset", "0:3,1:4,2:3", "--timeout", "0", environment=environment
    )

    assert here.code == 0
    assert beyond.code == 1
    assert f"projection '{projected.settings.projection}' is held" in beyond.said
    assert "is held" in beyond.out


def test_a_goal_that_is_none_is_an_error(projected: Ledger, memferry: Callable[..., Done]) -> None:
    for arguments, says in (
        (("--to-end", "--receipt", "app-1:1:1"), "exactly one goal"),
        (("--to-end", "--to-savepoint", "x"), "exactly one target"),
        (("--to-offset", "0:1"), "partitions [1, 2] are not named"),
        (("--to-savepoint", "nothing"), "there is no savepoint 'nothing'"),
        (("--receipt", "app-1:9:1"), "no partition 9"),
    ):
        done = memferry("wait", *arguments, environment=projected.environment)

        assert done.code == 2
        assert says in done.said
