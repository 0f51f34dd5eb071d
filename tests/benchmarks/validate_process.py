"""One validation in a process of its own: settings on standard input, what it took on output."""

import asyncio
import sys
import time

import msgspec

from compose.cli.project import tune_interpreter
from projector.audit.validation import SourceName, validate
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import peak_rss_mb, rss_mb


class Wanted(msgspec.Struct):
    """What is validated."""

    settings: Settings
    source: SourceName


class Figures(msgspec.Struct):
    """Records are steps and entities."""

    seconds: float
    cpu_s: float
    records: int
    idle_mb: float
    rss_mb: float
    findings: list[str]


def main() -> None:
    """Validate once."""
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    tune_interpreter()
    idle = rss_mb()
    began, cpu = time.perf_counter(), time.process_time()
    report = asyncio.run(validate(wanted.settings, DOMAIN, wanted.source))
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu
    looked = max(level.looked for level in report.levels)
    found = [f"{one.rule}: {one.count}" for one in report.findings]
    figures = Figures(seconds, cpu_s, looked, idle, peak_rss_mb(), found)
    sys.stdout.write(msgspec.json.encode(figures).decode())


if __name__ == "__main__":
    main()
