"""The five levels over a million records of the five kinds: a log, and tables of as many rows."""

import os
import secrets
import tempfile

from msgspec.structs import replace

from compose.stack import ephemeral_stack
from projector.audit.validation import SourceName
from schemas.settings import Settings
from tests.benchmarks.catch_up import in_process, projected
from tests.benchmarks.result import Result, result
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.validate_process import Figures, Wanted
from tests.benchmarks.workload import mixed_events, settings_for

RECORDS = int(os.environ.get("BENCH_RECORDS", "1000000"))
FIGURES = ("validate_million_records_s", "validate_million_rows_s")
_MILLION = 1_000_000


def validated() -> list[Result]:
    """Seconds of validating a log of a million events, and of tables of a million rows."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, 4)
        fill_topic(settings, mixed_events(RECORDS))
        _, projection = projected(settings, 0)
        settings = replace(settings, projection=projection)
        of_log, of_tables = _of(settings, "log"), _of(settings, "tables")
    return [
        _said(FIGURES[0], of_log, RECORDS, "events, and the entities that they leave"),
        _said(FIGURES[1], of_tables, of_tables.records, "entities of all five kinds"),
    ]


def _of(settings: Settings, source: SourceName) -> Figures:
    figures: Figures = in_process("validate_process", Wanted(settings, source), Figures)
    return figures


def _said(name: str, figures: Figures, of: int, what: str) -> Result:
    seconds = figures.seconds * _MILLION / of
    each_us = figures.cpu_s / figures.records * 1e6
    note = (
        f"five levels over {of:,} {what}: {figures.seconds:.1f} s, {figures.records:,} records "
        f"looked at, {each_us:.1f} us of the processor each; {figures.idle_mb:.0f} MB before it; "
        f"findings: {', '.join(figures.findings) or 'none'}"
    )
    return result(name, seconds, "s", None, figures.rss_mb, note)
