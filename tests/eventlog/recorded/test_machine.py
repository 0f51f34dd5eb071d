"""Collections beside plain ones through random changes; the same, longer, is `long.py`."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.eventlog.recorded.long import require_back_after_a_restart
from tests.eventlog.recorded.machine import machine_on
from tests.eventlog.recorded.making import Book


def test_random_changes_do_what_they_do_to_plain_containers_and_are_in_the_log(
    book: Book,
) -> None:
    machine, world = machine_on(book)

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )

    require_back_after_a_restart(book, world)
