"""One `up` or `down` at a time on a directory, across threads and processes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from compose.stack.errors import DirectoryUnusable


@contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Nobody else is inside for the same lock file; waits for its turn.

    The kernel drops the lock when its holder dies, so a crash leaves nothing to clean. The
    servers do not inherit it: Python opens files close-on-exec.
    """
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DirectoryUnusable(lock.parent, error.strerror or str(error)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
