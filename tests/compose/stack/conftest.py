"""One stack for the tests of this directory, each of which brings it up as it needs it."""

from collections.abc import Iterator

import psutil
import pytest

from compose.stack import Stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.down(wipe=True)


def pids(stack: Stack) -> dict[str, int]:
    return {part.name: part.pid for part in stack.status() if part.pid is not None}


def ended(number: int) -> bool:
    """Whether no such process runs; one that its parent has not asked for yet has ended."""
    try:
        return bool(psutil.Process(number).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def kill_outright(*numbers: int) -> None:
    """As a power cut would: our own code has no part in it, and all have ended on return."""
    processes = [psutil.Process(number) for number in numbers]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes, timeout=10)
