"""What the comparison takes that a cutover makes while writers stand, for few rows and for many."""

import datetime
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from compose.stack import ephemeral_stack
from projector.audit.kept_digests import begin_keeping, read_kept
from projector.control_tables import connect, establish
from projector.migration.unchanged import Base, require_unchanged
from schemas.digest import digest_of
from schemas.table_sums import Sums, TableSums
from schemas.tables import Row
from schemas.trading import DOMAIN
from schemas.trading.trades import TRADES
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.workload import settings_for

FIGURES = ("pause_comparison_ms", "pause_comparison_300k_ms")
_ROWS = (1_000, 300_000)
_TIMES = 300
_PARTITIONS = 4
_SOURCE = "app-1"
_AT = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def comparison() -> list[Result]:
    """The comparison's time with 1,000 and with 300,000 rows behind it."""
    with ephemeral_stack() as stack:
        endpoints = stack.endpoints()
        assert endpoints is not None
        return [
            _measure(name, rows, endpoints.kafka, endpoints.postgres)
            for name, rows in zip(FIGURES, _ROWS, strict=True)
        ]


def _measure(name: str, rows: int, kafka: str, dsn: str) -> Result:
    settings = settings_for(f"bench{uuid.uuid4().hex[:8]}", kafka, dsn, ".", _PARTITIONS)
    with connect(settings, "bench") as conn:
        projection = establish(conn, settings, DOMAIN, _PARTITIONS).name
        left = set(begin_keeping(conn, projection, DOMAIN))
        began = time.perf_counter()
        sums = _fill(conn, projection, rows)
        filled_us = (time.perf_counter() - began) / rows * 1e6
        if read_kept(conn, projection).sums[TRADES.name] != sums:
            raise RuntimeError("the triggers did not count what was written")
        fence = _fence(conn, projection, sums)
        base = Base({_SOURCE: "counting"}, {t: Sums() for t in DOMAIN.tables if t not in left})
        times_ms = []
        for _ in range(_TIMES):
            began = time.perf_counter()
            compared = require_unchanged(conn, projection, fence, base)
            times_ms.append((time.perf_counter() - began) * 1000)
        note = (
            f"p50; p99 {percentile(times_ms, 99):.2f} ms, {_TIMES} times; {len(compared)} tables, "
            f"of one source in {_PARTITIONS} partitions, {rows:,} rows; digesting and COPY with "
            f"triggers {filled_us:.1f} us a row"
        )
        return result(name, percentile(times_ms, 50), "ms", note=note)


def _fill(conn: psycopg.Connection[Any], projection: str, rows: int) -> Sums:
    """Fill a table by COPY; return the sums of its rows."""
    sums, digest = Sums(), digest_of(TRADES)
    conn.execute("SELECT set_config('search_path', %s, false)", (projection,))
    with conn.cursor() as cursor, cursor.copy("COPY trades FROM STDIN") as copy:
        for row in _trades(rows):
            sums.add(*digest(row))
            copy.write_row(row)
    return sums


def _trades(rows: int) -> Iterator[Row]:
    zero, price = Decimal(0), Decimal("101.25")
    for number in range(rows):
        at = _AT + datetime.timedelta(seconds=number)
        yield (
            f"T-{number}", f"S-{number % 50}", "AAPL", "buy", "open", Decimal(100), price, zero,
            zero, None, zero, None, None, at, number, at, number, None, None,
        )  # fmt: skip


def _fence(conn: psycopg.Connection[Any], projection: str, sums: Sums) -> str:
    """Leave an app's answer to a fence behind: its sums, in one partition all that there are."""
    fence = str(uuid.uuid4())
    told = {
        partition: {
            table: TableSums.of(sums if (table, partition) == (TRADES.name, 0) else Sums())
            for table in DOMAIN.tables
        }
        for partition in range(_PARTITIONS)
    }
    conn.execute(
        "INSERT INTO memferry.fence (id, projection, purpose, epoch, lease_ms, state, asked_at, "
        "lease_until) VALUES (%s, %s, 'cutover', 1, 1, 'aborted', now(), now())",
        (fence, projection),
    )
    conn.execute(
        "INSERT INTO memferry.fence_source (fence, source, state, counting, sums) "
        "VALUES (%s, %s, 'caught_up', 'counting', %s)",
        (fence, _SOURCE, Jsonb(msgspec.to_builtins(told, str_keys=True))),
    )
    return fence
