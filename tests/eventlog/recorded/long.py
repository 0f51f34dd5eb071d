"""Drive collections beside plain ones: python -m tests.eventlog.recorded.long COUNT SEED."""

import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.eventlog.recorded.machine import World, machine_on
from tests.eventlog.recorded.making import Book

STEPS = 40


def require_back_after_a_restart(book: Book, world: World) -> None:
    """Demand that a new process on the same outbox has the same memory."""
    again = book.again()
    try:
        assert World.recorded(again) == world
    finally:
        again.close()


def main(count: int, number: int) -> None:
    """Run; a failure is shown as the steps that lead to it, and as `count number` to run again."""
    with tempfile.TemporaryDirectory() as place:
        book = Book(Path(place, "outbox.db"))
        machine, world = machine_on(book)
        chosen = settings(
            max_examples=count,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(seed(number)(machine), settings=chosen)
        require_back_after_a_restart(book, world)
    sys.stdout.write(
        f"{count} examples of {STEPS} steps (seed {number}): memory, model and log agree\n"
    )


if __name__ == "__main__":
    main(*map(int, [*sys.argv[1:], "2000", "1"][:2]))
