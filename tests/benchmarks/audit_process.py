"""Audits in a process of their own: what to look at on standard input, figures on output."""

import asyncio
import sys
import time
from contextlib import closing

import msgspec
from psycopg import sql

from projector.audit.run import audit
from projector.control_tables import connect
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.result import peak_rss_mb

_TIMEOUT_S = 300.0


class Asked(msgspec.Struct):
    """One audit, or with `limit` the database's own scan and hash of the same tables."""

    settings: Settings
    with_memory: bool
    limit: bool = False


class Audited(msgspec.Struct):
    """What an audit took, what it looked at, and how many findings it had."""

    seconds: float
    rows: int
    memory_rows: int
    events: int
    findings: int
    continued: bool
    rss_mb: float


async def audited(asked: Asked) -> Audited:
    """Audit once."""
    started = time.perf_counter()
    result = await audit(
        asked.settings, DOMAIN, with_memory=asked.with_memory, timeout_s=_TIMEOUT_S
    )
    return Audited(
        time.perf_counter() - started, sum(result.table_rows.values()),
        sum(result.memory_rows.values()), result.events, len(result.findings),
        bool(result.continued_from), peak_rss_mb(),
    )  # fmt: skip


def scanned(settings: Settings) -> Audited:
    """Have the database read and hash every row of every table, and give nothing back."""
    rows = 0
    with closing(connect(settings, "benchmark")) as conn:
        started = time.perf_counter()
        for name in DOMAIN.tables:
            statement = sql.SQL("SELECT max(md5(t::text)), count(*) FROM {} AS t").format(
                sql.Identifier(settings.projection, name)
            )
            row = conn.execute(statement).fetchone()
            rows += row[1] if row else 0
        took_s = time.perf_counter() - started
    return Audited(took_s, rows, 0, 0, 0, continued=False, rss_mb=peak_rss_mb())


if __name__ == "__main__":
    asked = msgspec.json.decode(sys.stdin.buffer.read(), type=Asked)
    found = scanned(asked.settings) if asked.limit else asyncio.run(audited(asked))
    sys.stdout.buffer.write(msgspec.json.encode(found))
