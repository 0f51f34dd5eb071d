"""A process of a benchmark that works until it is stopped, and then says what it saw.

What it is to do comes to it as JSON in a line; it answers `ready`, works until the line `stop`, and
ends with its answer as JSON.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

_DEADLINE_S = 60.0
Answer = TypeVar("Answer")


@contextmanager
def until_stopped(module: str, wanted: Any, answer: type[Answer]) -> Iterator[Callable[[], Answer]]:
    """Have a module of the benchmarks work; what is yielded stops it and returns its answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.benchmarks.{module}"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def stop() -> Answer:
        said, _ = process.communicate("stop\n", _DEADLINE_S)
        return msgspec.json.decode(said, type=answer)

    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(wanted).decode() + "\n")
        process.stdin.flush()
        if process.stdout.readline() != "ready\n":
            raise RuntimeError(f"{module} did not start")
        yield stop
    finally:
        process.kill()
        process.wait()
