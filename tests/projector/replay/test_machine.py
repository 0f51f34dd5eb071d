"""A sample of the machine that goes back and forth: see histories.py for the long run."""

from pathlib import Path

from compose.stack import Stack
from tests.projector.replay.histories import run


def test_tables_and_memory_are_the_fold_of_what_counts(stack: Stack, tmp_path: Path) -> None:
    endpoints = stack.endpoints()
    assert endpoints is not None
    run(endpoints, tmp_path, examples=1, steps=12, number=3)
