"""Removes an ephemeral stack whose owner died without doing so (kill -9 of a test run).

Run as a program, this file waits until its standard input ends, which the kernel sees to when
the owner ends, however it ends. While it waits it has loaded nothing of ours.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def guarded(place: Path) -> Iterator[None]:
    """The stack in this directory does not outlive us: whatever is left of it is removed."""
    guard = subprocess.Popen(
        # -P: this file's neighbours are not modules of their own.
        [sys.executable, "-P", __file__, place],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,  # Ctrl-C is for the owner
    )
    try:
        yield
    finally:
        guard.communicate()


def _main(place: Path) -> None:
    sys.stdin.read()
    if place.exists():
        from compose.stack.stack import Stack  # noqa: PLC0415  seldom needed, and large

        Stack(place).down(wipe=True)
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
