"""Logs of one lane a partition, and their delivery: cut, doubled, to workers that die."""

import time
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from aiokafka.structs import ConsumerRecord
from hypothesis import strategies as st

from schemas.envelope import HeadWriter, digest, seal
from schemas.lane import LaneId, genesis
from tests.domains.ledger import (
    DOMAIN,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    ReadingTaken,
)
from tests.projector.app import OPENED, accounts_in, record

SOURCE = "app-1"
PARTITIONS = 2
Log = dict[int, list["ConsumerRecord[bytes, bytes]"]]
_ACCOUNTS = [accounts_in(partition, 2, PARTITIONS) for partition in range(PARTITIONS)]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Return a log of two partitions: events that the tables take or refuse, some of them twice."""
    return {p: _doubled(draw, p, sealed_lane(p, _events(draw, p))) for p in range(PARTITIONS)}


def _events(draw: st.DrawFn, partition: int) -> list[msgspec.Struct]:
    """Mostly legal changes of two accounts, so that a batch has several of one row."""
    events: list[msgspec.Struct] = []
    present: set[str] = set()
    for _ in range(draw(st.integers(4, 14))):
        name = draw(st.sampled_from(_ACCOUNTS[partition]))
        step = draw(st.integers(0, 19))
        if (name not in present) != (step == 0):  # else it is opened twice, or ended unopened
            events.append(AccountOpened(name, "Mallory" if step == 1 else "Ada", OPENED, {}))
            present.add(name)
        elif step in (0, 2):
            events.append(AccountClosed(name))
            present.discard(name)
        elif step == 3:
            events.append(ReadingTaken(name, 1, Decimal(len(events))))
        else:  # the table has CHECK (balance >= 0)
            balance = Decimal(-1 if step in (4, 5) else step)
            events.append(AmountDeposited(name, balance, balance))
    return events


def sealed_lane(partition: int, events: list[msgspec.Struct]) -> list[bytes]:
    """Return events as their lane has them."""
    lane, chain = list[bytes](), genesis(LaneId(SOURCE, 1, partition)).digest
    for seq, event in enumerate(events, 1):
        kind = DOMAIN.kind_of[type(event)]
        head = HeadWriter(SOURCE, DOMAIN.type_of[type(event)]).head(
            kind.stream_getter()(event), f"0190a7c4-0000-7000-8000-{seq:012d}", time.time_ns()
        )
        lane.append(seal(head, msgspec.json.encode(event), seq, 0, chain))
        chain = digest(lane[-1])
    return lane


def _doubled(
    draw: st.DrawFn, partition: int, lane: list[bytes]
) -> list["ConsumerRecord[bytes, bytes]"]:
    """Send runs of a lane again, as a relay does that had no answer."""
    sent: list[bytes] = []
    done = 0
    for end in [*sorted(draw(st.sets(st.integers(0, len(lane)), max_size=2))), len(lane)]:
        again = draw(st.integers(0, min(3, done)))
        sent += [*lane[done - again : done], *lane[done:end]]
        done = end
    return [record("log.1", partition, offset, value) for offset, value in enumerate(sent)]


class Step(NamedTuple):
    """What one worker does next: how many records it takes of each partition, and how it ends."""

    worker: int
    records: tuple[int, ...]
    fate: str
    """`lives`; `dies before`, `dies within` or `dies behind` its commit."""


def steps() -> st.SearchStrategy[list[Step]]:
    """Return what up to three workers do, in turn: any may be a zombie by then."""
    fates = st.sampled_from(
        ["lives", "lives", "lives", "dies before", "dies within", "dies behind"]
    )
    taken = st.tuples(*[st.integers(0, 9)] * PARTITIONS)
    return st.lists(st.builds(Step, st.integers(0, 2), taken, fates), max_size=8)


def one_at_a_time(log: Log) -> list[Step]:
    """Return steps of one worker that applies each record alone."""
    return [
        Step(0, tuple(int(p == partition) for p in range(PARTITIONS)), "lives")
        for partition, records in log.items()
        for _ in records
    ]


def the_rest(log: Log) -> Step:
    """Return the step that takes whatever is left."""
    return Step(9, tuple(len(records) for records in log.values()), "lives")


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Return rows in an order of their own."""
    return sorted(rows, key=repr)
