from collections.abc import Callable

from tests.compose.cli.conftest import Done


def test_a_stack_that_does_not_run_is_a_finding(memferry: Callable[..., Done]) -> None:
    shown = memferry("stack", "status")
    document = memferry("stack", "status", "--json")

    assert shown.code == document.code == 1
    assert shown.out.count("down") == 2
    assert [(part["name"], part["running"]) for part in document.json()] == [
        ("kafka", False), ("postgres", False)
    ]  # fmt: skip


def test_the_environment_of_a_stack_that_does_not_run_is_an_error(
    memferry: Callable[..., Done],
) -> None:
    done = memferry("stack", "env")

    assert (done.code, done.out) == (2, "")
    assert "memferry stack up" in done.said


def test_stopping_what_does_not_run_is_fine(memferry: Callable[..., Done]) -> None:
    assert memferry("stack", "down").code == 0
    assert memferry("stack", "down", "--wipe").code == 0


def test_a_number_of_brokers_that_makes_no_sense_is_refused(memferry: Callable[..., Done]) -> None:
    for wanted in ("0", "9", "many"):
        assert memferry("stack", "up", "--brokers", wanted).code == 2
