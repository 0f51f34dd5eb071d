"""Run memferry and its peers over the same trades in one run; print each one's rate and memory.

python -m tests.benchmarks.peers [EVENTS]
"""

import secrets
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from compose.stack import ephemeral_stack
from schemas.position import FIRST_GENERATION, kafka_topic
from schemas.settings import Settings
from tests.benchmarks.catch_up import EVENTS, in_process, projected, rate_of
from tests.benchmarks.peers import debezium
from tests.benchmarks.peers.loops import Loop, Ran
from tests.benchmarks.peers.tables import emptied, require_same, trades_in
from tests.benchmarks.peers.twin import fill_twin
from tests.benchmarks.topics import fill_topic
from tests.benchmarks.workload import settings_for, trade_events

_OUTPUT = Path("build/bench/peers.json")


class Peer(NamedTuple):
    """One way to bring the topic, or a twin of it, into the table."""

    name: str
    run: Callable[["Given"], tuple[float, float]]
    """Fill an empty table; return events/s, and MB at most."""


class Given(NamedTuple):
    """What all have in common: so many events, in so many records, of so many trades."""

    settings: Settings
    events: int
    records: int
    rows: int
    schema: str
    """With the empty table."""


class Row(msgspec.Struct):
    """One line of the outcome. Units: events/s between the first commit and the last; MB at most
    of the process."""

    name: str
    events_per_s: float
    rss_mb: float
    ratio: float = 1.0
    """memferry's rate by this one's."""


def loop_of(client: str) -> Callable[[Given], tuple[float, float]]:
    """Return the executemany loop over one of the clients."""

    def run(given: Given) -> tuple[float, float]:
        settings = given.settings
        topic = kafka_topic(settings.topic, FIRST_GENERATION)
        loop = Loop(
            client, settings.kafka.bootstrap, topic, given.records, settings.postgres.dsn,
            given.schema, settings.projector.batch_events,
        )  # fmt: skip
        ran: Ran = in_process("peers.loops", loop, Ran)
        return ran.records / ran.seconds * given.events / given.records, ran.rss_mb

    return run


def sink_of(*, best: bool) -> Callable[[Given], tuple[float, float]]:
    """Return Debezium's sink over a twin of the topic."""

    def run(given: Given) -> tuple[float, float]:
        topic = f"{given.settings.topic}{'plain' if best else 'schema'}"
        settings = replace(given.settings, topic=topic)
        _, last = fill_twin(settings, trade_events(given.events), plain=best)
        ran = debezium.run(settings, given.schema, given.rows, last, best=best)
        return ran.records / ran.seconds * given.events / given.rows, ran.rss_mb

    return run


PEERS = (
    Peer("executemany, aiokafka", loop_of("aiokafka")),
    Peer("executemany, confluent-kafka", loop_of("confluent")),
    Peer("Debezium's JDBC sink, by default", sink_of(best=False)),
    Peer("Debezium's JDBC sink, at its best", sink_of(best=True)),
)


def main(arguments: list[str]) -> int:
    """Measure, print, and write build/bench/peers.json."""
    count = int(arguments[0]) if arguments else EVENTS
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        topic = f"bench{secrets.token_hex(4)}"
        settings = settings_for(topic, endpoints.kafka, endpoints.postgres, directory, 1)
        end = count + fill_topic(settings, trade_events(count))
        figures, projection = projected(settings, 0)
        rows: list[Row] = []
        schema = f"{topic}_peer"
        given = Given(settings, count, end, trades_in(endpoints.postgres, projection), schema)
        for peer in PEERS:
            sys.stderr.write(f"measuring {peer.name}\n")
            emptied(settings.postgres.dsn, projection, schema)
            rows.append(Row(peer.name, *peer.run(given)))
            require_same(settings.postgres.dsn, projection, schema)
        again, _ = projected(settings, 1)
    # Before the peers and behind them: a machine that slows down meanwhile favours nobody.
    ours = statistics.mean(map(rate_of, (figures, again)))
    for row in rows:
        row.ratio = ours / row.events_per_s
    rows.insert(0, Row("memferry", ours, max(figures.rss_mb, again.rss_mb)))
    _show(rows, count)
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    return 0


def _show(rows: list[Row], count: int) -> None:
    table = Table("way", "events/s", "MB", "memferry by it", box=None, pad_edge=False)
    for row in rows:
        table.add_row(row.name, f"{row.events_per_s:,.0f}", f"{row.rss_mb:.0f}", f"{row.ratio:.2f}")
    console = Console()
    console.print(table)
    best = max(rows[1:], key=lambda row: row.events_per_s)
    console.print(
        f"{count:,} trade events, one partition; the best peer is {best.name}: memferry does "
        f"{best.ratio:.2f} times as many events, in {rows[0].rss_mb:.0f} MB against "
        f"{best.rss_mb:.0f} MB; every peer's table was compared with the projection's, row by row",
        highlight=False,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
