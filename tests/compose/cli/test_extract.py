from collections.abc import Callable

from tests.compose.cli.conftest import Done, Ledger
from tests.projector.migration.stage import Stage


def test_the_containers_of_a_running_app_are_shown_with_their_counts(
    trading: Stage, commands: Callable[..., Done]
) -> None:
    shown = commands("extract")
    document = commands("extract", "--json")

    assert shown.code == document.code == 0
    words = " ".join(shown.out.split())
    assert "app-1 account dict of Account 14 14 " in words
    assert "app-1 reading dict of deque of Reading 1 3 " in words
    (answer,) = document.json()
    assert (answer["source"], answer["unregistered"]) == ("app-1", [])
    assert [(s["kind"], s["streams"], s["entities"]) for s in answer["stores"]] == [
        ("account", 14, 14), ("reading", 1, 3)
    ]  # fmt: skip


def test_an_app_that_does_not_answer_ends_with_2(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("extract", "--timeout-s", "0.2", environment=projected.environment)

    assert (done.code, done.out) == (2, "")
    assert "source 'app-1' did not answer: no answer in time" in done.said
    assert "start the app" in done.said
