"""From a full topic into committed rows, beside staged COPY + upsert of the same rows."""

import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
import time

import msgspec
import psycopg

from compose.stack import ephemeral_stack
from eventlog.shim import attach
from projector.copy_text import copy_rows
from schemas.settings import Settings
from schemas.trading.trades import TradeOpened, _opened
from tests.benchmarks.relay import fill_outbox
from tests.benchmarks.relay_process import relay_all
from tests.benchmarks.result import Result, result
from tests.benchmarks.workload import settings_for, trade_events

_EVENTS = 300_000
_RAW_BATCH = 10_000
_RAW_COPY = "COPY stage FROM STDIN WITH (FORMAT csv, NULL 'null', QUOTE '\"', ESCAPE '\\')"


def prepare_topic(settings: Settings, events: int) -> None:
    """Fill a new topic with trade events of a registered source."""
    attach(settings).close()  # makes the topics and opens the source
    last_row = fill_outbox(settings, settings.kafka.partitions, events)
    asyncio.run(relay_all(settings, last_row))


def project_to_end(settings: Settings) -> dict[str, float]:
    """Run a projector over a topic in a process of its own; return its own figures."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.projector_process"],
        input=json.dumps(
            {
                "name": settings.topic, "kafka": settings.kafka.bootstrap,
                "dsn": settings.postgres.dsn, "directory": settings.directory,
                "partitions": settings.kafka.partitions,
            }
        ),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(finished.stdout)
    return figures


def raw_staged(dsn: str, schema: str) -> float:
    """Return rows/s of staged COPY + upsert of the same trades, formatted beforehand."""
    rows = [_opened(e) for e in trade_events(120_000) if isinstance(e, TradeOpened)]
    columns = rows[0].__struct_fields__
    batches = [
        copy_rows(
            [(*msgspec.structs.astuple(row), 1, 0) for row in rows[first : first + _RAW_BATCH]], ()
        )
        for first in range(0, len(rows), _RAW_BATCH)
    ]
    with psycopg.connect(dsn) as conn:
        conn.execute(f"CREATE TABLE {schema}.raw (LIKE {schema}.trades INCLUDING ALL)")
        conn.execute(
            f"CREATE TEMPORARY TABLE stage ON COMMIT DELETE ROWS AS SELECT *, 0::smallint AS op, "
            f"0::bigint AS mask FROM {schema}.raw WITH NO DATA"
        )
        conn.commit()
        sets = ", ".join(f"{c} = excluded.{c}" for c in columns[1:])
        started = time.perf_counter()
        for batch in batches:
            with conn.cursor().copy(_RAW_COPY) as copy:
                copy.write(batch)
            conn.execute(
                f"INSERT INTO {schema}.raw SELECT {', '.join(columns)} FROM stage "
                f"ON CONFLICT (trade_id) DO UPDATE SET {sets}"
            )
            conn.commit()
        return len(rows) / (time.perf_counter() - started)


def one_process() -> list[Result]:
    """Events a second of one projector behind by a whole topic, four partitions."""
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"bench{secrets.token_hex(4)}"
        settings = settings_for(name, endpoints.kafka, endpoints.postgres, directory, 4)
        prepare_topic(settings, _EVENTS)
        figures = project_to_end(settings)
        limit = raw_staged(endpoints.postgres, name)
    stages = ", ".join(f"{n[:-2]} {v:.1f}" for n, v in figures.items() if n.endswith("_s"))
    note = (
        "limit: staged COPY + upsert of the same rows, formatted beforehand; seconds, of loop and "
        f"applying thread side by side: {stages}"
    )
    return [
        result(
            "catch_up_events_per_s", figures["events"] / figures["seconds"], "1/s", limit,
            figures["rss_mb"], note,
        )
    ]  # fmt: skip
