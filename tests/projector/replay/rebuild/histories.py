"""Topics with a long history of everything: refused, unreadable, doubled and control events too."""

import random
import time
from decimal import Decimal

import msgspec

from schemas.control import CONTROL_TYPE_OF, BarrierPlaced
from schemas.envelope import HeadWriter, digest, seal
from schemas.lane import CONTROL_PARTITION, LaneId, genesis
from schemas.settings import Settings
from tests.domains.ledger import (
    DOMAIN,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    ReadingTaken,
)
from tests.projector.app import OPENED, App, accounts_in
from tests.projector.broker import Broker

_BARRIER = CONTROL_TYPE_OF[BarrierPlaced]
Said = tuple[str, str, bytes]
"""Type, stream, data."""


def publish(broker: Broker, settings: Settings, events: int, seed: int) -> None:
    """Fill new topics with so many events in each partition, and some of them twice."""
    app = App(settings)
    control = [row.event for row in app.rows() if row.partition == CONTROL_PARTITION]
    app.close()
    broker.make_topics(settings)
    broker.send_control(settings, control)
    chance = random.Random(seed)
    for partition in range(settings.kafka.partitions):
        said = _history(chance, partition, settings.kafka.partitions, events)
        broker.send(settings, partition, _doubled(chance, _sealed(settings, partition, said)))


def _history(chance: random.Random, partition: int, partitions: int, count: int) -> list[Said]:
    names = accounts_in(partition, max(4, count // 8), partitions)
    present: set[str] = set()
    history: list[Said] = []
    for number in range(count):
        name, step = chance.choice(names), chance.random()
        event: msgspec.Struct
        if step < 0.01:
            history.append(chance.choice(_odd(name, number)))
            continue
        if step < 0.3:
            event = ReadingTaken(f"meter-{partition}", number % 50, Decimal(number))
        elif (name not in present) != (step > 0.99):  # else it is opened twice, or is not there
            event = AccountOpened(name, f'Ada\n"{number}"', OPENED, {"n": str(number)})
            present.add(name)
        elif step < 0.4:
            event = AccountClosed(name)
            present.discard(name)
        else:  # the table has CHECK (balance >= 0)
            balance = Decimal(-1 if step < 0.41 else number)
            event = AmountDeposited(name, balance, balance)
        stream = DOMAIN.kind_of[type(event)].stream_getter()(event)
        history.append((DOMAIN.type_of[type(event)], stream, msgspec.json.encode(event)))
    return history


def _odd(name: str, number: int) -> list[Said]:
    barrier = BarrierPlaced(f"b-{number}", "test")
    return [
        (_BARRIER, "memferry/barrier", msgspec.json.encode(barrier)),
        ("ledger.account.merged.v1", f"account/{name}", b"{}"),
        ("ledger.account.opened.v1", f"account/{name}", b'{"account":1}'),
    ]


def _sealed(settings: Settings, partition: int, history: list[Said]) -> list[bytes]:
    lane, chain = list[bytes](), genesis(LaneId(settings.source, 1, partition)).digest
    for seq, (kind, stream, data) in enumerate(history, 1):
        head = HeadWriter(settings.source, kind).head(
            stream, f"0190a7c4-0000-7000-8000-{seq:012d}", time.time_ns()
        )
        lane.append(seal(head, data, seq, 1 + seq // 1_000, chain))
        chain = digest(lane[-1])
    return lane


def _doubled(chance: random.Random, lane: list[bytes]) -> list[bytes]:
    """Send runs again, as a relay does that had no answer."""
    sent: list[bytes] = []
    done = 0
    while done < len(lane):
        again, end = chance.randint(0, min(30, done)), done + chance.randint(1, 200)
        sent += [*lane[done - again : done], *lane[done:end]]
        done = min(end, len(lane))
    return sent
