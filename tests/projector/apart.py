"""Projectors in processes of their own, which stand still where a test wants it."""

import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from schemas.settings import Settings

PROJECTOR = """
import asyncio, sys
import msgspec
from projector.runner import Projector
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
settings, stop_at = msgspec.json.decode(sys.argv[1], type=Settings), int(sys.argv[2])
until = msgspec.json.decode(sys.argv[3], type=dict[int, int] | None)
def look(progress):
    if progress.batches == stop_at:
        print("there", flush=True)
        sys.stdin.read()
asyncio.run(Projector(settings, DOMAIN, until=until, on_progress=look).run())
"""
_DEADLINE_S = 20
_started: "list[subprocess.Popen[str]]" = []
REPOSITORY = Path(__file__).parents[2]


def started(
    settings: Settings, stop_at: int, until: dict[int, int] | None = None
) -> "subprocess.Popen[str]":
    """A projector in a process of its own, which says so and stands still behind a batch."""
    arguments = [
        msgspec.json.encode(settings).decode(),
        str(stop_at),
        msgspec.json.encode(until).decode(),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", PROJECTOR, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
    )
    _started.append(process)
    return process


@contextmanager
def none_left() -> Iterator[None]:
    """At the end no projector lives that was started in between, frozen ones included."""
    try:
        yield
    finally:
        while _started:
            killed(_started.pop())


def killed(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def awaited(process: "subprocess.Popen[str]") -> None:
    """Return once the projector stands still behind its batch."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _DEADLINE_S)
    assert ready, f"not within {_DEADLINE_S} s: the projector's batch"
    assert process.stdout.readline() == "there\n"


def released(process: "subprocess.Popen[str]") -> None:
    """The projector goes on."""
    assert process.stdin is not None
    process.stdin.close()
