"""A projector in a process of its own, which tells its peak of memory; a program for tests."""

import asyncio
import sys
from pathlib import Path

import msgspec

from compose.cli.project import tune_interpreter
from schemas.settings import Settings
from tests.projector.projecting import ends, project


def main() -> None:
    """Apply one event of each partition, then the rest; print the peak above what it took by then.

    Shape:  the only argument is the settings, as JSON; the answer is two numbers: events, bytes.
    """
    settings = msgspec.json.decode(sys.argv[1], type=Settings)
    tune_interpreter()
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    end = await ends(settings)
    await project(settings, dict.fromkeys(end, 1))
    at_rest = _status("VmRSS")
    _forget_peak()
    progress = await project(settings, end)
    sys.stdout.write(f"{progress.applied} {_status('VmHWM') - at_rest}\n")


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def _status(name: str) -> int:
    """Return a value of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
