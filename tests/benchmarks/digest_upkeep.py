"""What it costs an app that its barriers carry sums: CPU time a mutation, and a caller's wait."""

import tempfile
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.recorder import Recorder
from schemas.digest import digest_of
from schemas.domain import Domain, Kind
from schemas.tables import Change, Row, Table, Upsert
from schemas.trading import DOMAIN
from tests.benchmarks.result import Result, percentile, result
from tests.benchmarks.workload import mixed_events

FIGURES = ("digest_upkeep_us", "digest_upkeep_small_us")
_EVENTS = 10_000
_ROUNDS = 9
_DURABLE_EVERY = 50
_RING = 500
_COUNTERS = 1_000
Events = Callable[[int], Iterator[msgspec.Struct]]


class Counter(msgspec.Struct, frozen=True):
    """An entity as small as one can be."""

    name: str
    value: int


class CounterSet(msgspec.Struct, frozen=True):
    """A counter has another value."""

    name: str
    value: int


_TABLE = Table("counters", ("name", "value"), ("name",))


def _rows(counter: Any) -> tuple[tuple[Table, Row], ...]:
    return ((_TABLE, (counter.name, counter.value)),)


def _project(event: Any) -> tuple[Change, ...]:
    return (Upsert(_TABLE, (event.name, event.value)),)


SMALL = Domain(
    "counters",
    (
        Kind(
            name="counter", entity=Counter, events={"counters.counter.set.v1": CounterSet},
            key=("name",), stream=("name",), rows=_rows, project=_project, tables=(_TABLE,),
            evolve=lambda _, event: Counter(event.name, event.value),
            snapshot=lambda counter: CounterSet(counter.name, counter.value),
        ),
    ),
    "",
)  # fmt: skip


def _counters(count: int) -> Iterator[msgspec.Struct]:
    for number in range(count):
        yield CounterSet(f"counter-{number % _COUNTERS}", number)


class _Cost(NamedTuple):
    """Microseconds a mutation: of the recording thread, of the others; and what a call took."""

    recording: float
    others: float
    p50: float
    p99: float


def _run(domain: Domain, events: Events, *, counting: bool) -> _Cost:
    with tempfile.TemporaryDirectory() as directory:
        identity = OutboxIdentity("bench", "bench", 1, 4)
        outbox = SqliteOutbox(Path(directory) / "bench.db", identity)
        recorder = Recorder(outbox, domain, 1_000_000, 50_000)
        for kind in domain.kinds:
            rings: Any = defaultdict(lambda: deque(maxlen=_RING))
            recorder.add_store(kind.name, {} if len(kind.key) == len(kind.stream) else rings)
        if counting:
            recorder.place_barrier("first", "audit").receipts[-1].durable()
        taken: list[float] = []
        clock, record = time.perf_counter_ns, recorder.record
        process, thread = time.process_time(), time.thread_time()
        for number, event in enumerate(events(_EVENTS)):
            started = clock()
            receipt = record(event)
            taken.append((clock() - started) / 1_000)
            if number % _DURABLE_EVERY == 0:
                receipt.durable()
        receipt.durable()
        recorder.settle_sums()
        recording = time.thread_time() - thread
        others = time.process_time() - process - recording
        recorder.close()
    return _Cost(
        recording / _EVENTS * 1e6, others / _EVENTS * 1e6, percentile(taken, 50),
        percentile(taken, 99),
    )  # fmt: skip


def _difference(domain: Domain, events: Events) -> tuple[_Cost, _Cost, _Cost]:
    """Return what counting adds, and both costs: each is the least of rounds taken in turn.

    What else the machine does only ever adds to them.
    """
    plain, counted = [], []
    for _ in range(_ROUNDS):
        plain.append(_run(domain, events, counting=False))
        counted.append(_run(domain, events, counting=True))
    without, with_sums = _least(plain), _least(counted)
    added = _Cost(*(b - a for a, b in zip(without, with_sums, strict=True)))
    return added, without, with_sums


def _least(costs: list[_Cost]) -> _Cost:
    return _Cost(*map(min, zip(*costs, strict=True)))


def _hash_us(domain: Domain, events: Events) -> float:
    """Return what it takes to make and hash the rows of one event's entity, and nothing else."""
    entities: list[tuple[Kind, Any]] = []
    present: dict[tuple[str, Any], Any] = {}
    for event in events(_EVENTS // 4):
        kind = domain.kind_of[type(event)]
        place = (kind.name, kind.key_getter()(event))
        present[place] = kind.evolve(present.get(place), event)
        entities.append((kind, present[place]))
    digests = {table: digest_of(table) for kind in domain.kinds for table in kind.tables}
    rounds = []
    for _ in range(_ROUNDS):
        started = time.thread_time()
        for kind, entity in entities:
            for table, row in kind.rows(entity):
                digests[table](row)
        rounds.append((time.thread_time() - started) / len(entities) * 1e6)
    return min(rounds)


def _result(name: str, domain: Domain, events: Events) -> Result:
    added, plain, counted = _difference(domain, events)
    note = (
        f"recording thread {added.recording:.1f} us, commit thread {added.others:.1f} us; to "
        f"make and hash the rows alone {_hash_us(domain, events):.1f} us; record p50 "
        f"{plain.p50:.1f} us without, {counted.p50:.1f} us with, p99 {plain.p99:.0f} and "
        f"{counted.p99:.0f} us"
    )
    return result(name, added.recording + added.others, "us", note=note)


def upkeep() -> list[Result]:
    """All kinds of the trading domain mixed; and an entity of two columns, each of 1,000 often."""
    return [
        _result("digest_upkeep_us", DOMAIN, mixed_events),
        _result("digest_upkeep_small_us", SMALL, _counters),
    ]
