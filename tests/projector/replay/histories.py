"""Histories of the machine that goes back and forth, and a campaign of them.

python -m tests.projector.replay.histories COUNT SEED     COUNT histories of up to 30 steps
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from compose.stack import Endpoints, ephemeral_stack
from tests.projector.replay.machine import GoingBackMachine


def run(endpoints: Endpoints, directory: Path, examples: int, steps: int, number: int) -> None:
    """Run so many histories; raises what the first that fails raises."""
    GoingBackMachine.endpoints, GoingBackMachine.directory = endpoints, directory
    how = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None,
        suppress_health_check=list(HealthCheck), print_blob=True,
        phases=[Phase.explicit, Phase.generate],
    )  # fmt: skip
    seeded: Callable[[Any], Any] = seed(number)
    run_state_machine_as_test(seeded(GoingBackMachine), settings=how)


if __name__ == "__main__":
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as place:
        served = stack.endpoints()
        assert served is not None
        run(served, Path(place), int(sys.argv[1]), 30, int(sys.argv[2]))
        sys.stdout.write(f"{sys.argv[1]} histories, none wrong (seed {sys.argv[2]})\n")
