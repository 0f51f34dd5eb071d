"""An audit of a million rows from the last audited fold, beside the database's own scan and hash.

A running app holds what such an app holds; the audit is made in a process of its own.
"""

import os
import secrets
import statistics
import tempfile
from collections import defaultdict, deque
from collections.abc import Iterator, MutableMapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

import eventlog
from compose.demo.processes import MEMFERRY, Process
from compose.stack import ephemeral_stack
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.audit_process import Asked, Audited
from tests.benchmarks.catch_up import in_process, projected
from tests.benchmarks.result import Result, result
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import mixed_events, settings_for

ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
FIGURES = ("audit_million_rows_s", "audit_million_tables_s")
_ROWS_OF_HUNDRED = 92
"""That a hundred events of the mix leave in the tables."""
_MORE = 5_000
_ROUNDS = 3
_PARTITIONS = 4
_RING = 50
_ENDLESS = 10**9
_APPLIED_S = 120.0


def three_witnesses() -> list[Result]:
    """Seconds of an audit of memory, log and tables, and of one of log and tables."""
    events = mixed_events(_ENDLESS)
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, endpoints.postgres, directory, _PARTITIONS)
        fill_topic(settings, islice(events, ROWS * 100 // _ROWS_OF_HUNDRED))
        _, projection = projected(settings, 0)
        settings = msgspec.structs.replace(settings, projection=projection)
        projector = _projector(settings, Path(directory))
        ferry = _app(settings)
        try:
            projector.start()
            first = _audit(settings, with_memory=True)
            rounds = [_round(ferry, events, settings) for _ in range(_ROUNDS)]
        finally:
            ferry.close()
            projector.end()
    full, tables, limits = (list(each) for each in zip(*rounds, strict=True))
    assert all(one.continued and not one.findings for one in (*full, *tables))
    return [_result(n, one, limits, first) for n, one in zip(FIGURES, (full, tables), strict=True)]


def _round(
    ferry: eventlog.Ferry, events: Iterator[msgspec.Struct], settings: Settings
) -> tuple[Audited, Audited, Audited]:
    """Audit with memory, audit without, scan; each audit has as many new events before it."""
    found = []
    for with_memory in (True, False):
        for event in islice(events, _MORE):
            receipt = ferry.record(event)
        receipt.applied(_APPLIED_S)
        found.append(_audit(settings, with_memory=with_memory))
    limit = in_process("audit_process", Asked(settings, with_memory=False, limit=True), Audited)
    return found[0], found[1], limit


def _audit(settings: Settings, *, with_memory: bool) -> Audited:
    found: Audited = in_process("audit_process", Asked(settings, with_memory), Audited)
    return found


def _app(settings: Settings) -> eventlog.Ferry:
    """Start again the app that wrote the log: its memory is what the log says."""
    ferry = eventlog.attach(settings, domain=DOMAIN)
    for kind in DOMAIN.kinds:
        store: MutableMapping[str, Any] = {}
        if kind.tables[0].windowed:
            store = defaultdict(partial(deque, maxlen=_RING))
        ferry.register(kind.name, store)
    return ferry


def _projector(settings: Settings, directory: Path) -> Process:
    config = directory / "memferry.toml"
    config.write_text(
        f'source = "{settings.source}"\ntopic = "{settings.topic}"\n'
        f'projection = "{settings.projection}"\ndomain = "schemas.trading"\n'
        f'[outbox]\npath = "{settings.outbox.path}"\n',
        encoding="utf-8",
    )
    environment = os.environ | {
        "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
    }
    command = (*MEMFERRY, "project", "-c", str(config))
    return Process("projector", command, directory / "projector.log", environment)


def _result(name: str, rounds: list[Audited], limits: list[Audited], first: Audited) -> Result:
    seconds = sorted(one.seconds for one in rounds)
    limit = statistics.median(one.seconds for one in limits)
    newest = rounds[-1]
    note = (
        f"{newest.rows:,} rows in {len(DOMAIN.tables)} tables, {newest.memory_rows:,} rows in "
        f"memory; median of {len(rounds)} audits ({seconds[0]:.2f} to {seconds[-1]:.2f} s), "
        f"{newest.events:,} events folded in the last; limit: PostgreSQL's own "
        f"max(md5(row::text)) of each table, median of {len(limits)}; the first audit, which "
        f"folded {first.events:,} events, took {first.seconds:.1f} s and {first.rss_mb:.0f} MB; "
        "MB: the auditing process at most"
    )
    rss_mb = max(one.rss_mb for one in (first, *rounds))
    return result(name, statistics.median(seconds), "s", limit, rss_mb, note)
