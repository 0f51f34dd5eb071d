"""A stack for one run of tests, of which nothing stays."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.stack.guard import guarded
from compose.stack.stack import Stack


@contextmanager
def ephemeral_stack(directory: Path | None = None, brokers: int = 1) -> Iterator[Stack]:
    """A running stack with fresh data, which is stopped and removed at the end, whatever happens.

    Shape: `directory` is a parent for its directory; None: the system's place for such things.
    """
    place = Path(tempfile.mkdtemp(prefix="memferry-stack-", dir=directory))
    if os.geteuid() == 0:
        place.chmod(0o711)  # see home.make: PostgreSQL's account passes through
    with guarded(place):
        try:
            stack = Stack(place)
            try:
                stack.up(brokers)
                yield stack
            finally:
                stack.down(wipe=True)
        finally:
            shutil.rmtree(place, ignore_errors=True)
