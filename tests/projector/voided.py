"""Logs written by hand, with voids and the reversal of some: the marks, and what stands between."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from schemas import envelope
from schemas.control import (
    CONTROL_TYPE_OF,
    BarrierPlaced,
    RolledBack,
    RolledForward,
    SourceOpened,
    TailRestored,
    TailVoided,
)
from schemas.identity import new_id
from schemas.lane import CONTROL_PARTITION, LaneId, genesis, partition_of
from schemas.position import FIRST_GENERATION
from schemas.settings import Settings
from schemas.table_sums import TableSums
from schemas.void import Span, Void
from tests.domains.ledger import DOMAIN, AccountOpened, AmountDeposited
from tests.projector.app import record
from tests.projector.broker import Broker

OPENED = datetime(2024, 2, 29, tzinfo=UTC)
_NOW_NS = 1_700_000_000_000_000_000


def opened(*accounts: str) -> list[Any]:
    """Return the events that open accounts."""
    return [AccountOpened(account, "Ada", OPENED) for account in accounts]


def deposited(account: str, amount: int, balance: int) -> Any:
    """Return a deposit, and what the balance is behind it."""
    return AmountDeposited(account, Decimal(amount), Decimal(balance))


class Written:
    """One source's lanes and its control lane, as its outbox would have them."""

    def __init__(self, source: str = "app-1", topic: str = "log", partitions: int = 3) -> None:
        self.source, self.topic, self.partitions = source, topic, partitions
        self.lanes: dict[int, list[bytes]] = {p: [] for p in range(partitions)}
        self.control: list[bytes] = []
        self._sent: dict[int, int] = {}
        self._voids: dict[str, Void] = {}
        self.say(SourceOpened(source, topic, FIRST_GENERATION, partitions, "here", 1))

    def record(self, *events: Any, type_name: str = "") -> None:
        """The app records events; `type_name` in place of the domain's own."""
        for event in events:
            kind = "account" if hasattr(event, "account") else "reading"
            stream = f"{kind}/{getattr(event, 'account', '') or event.meter}"
            name = type_name or DOMAIN.type_of[type(event)]
            self._add(partition_of(stream, self.partitions), stream, name, event)

    def seqs(self) -> dict[int, int]:
        """Return the number of each lane's newest event."""
        return {partition: len(lane) for partition, lane in self.lanes.items()}

    def void(self, name: str, after: Mapping[int, int], *streams: str, said: bool = True) -> Void:
        """What stands behind `after` is void from here on; where not `said`, marks alone say so."""
        lanes = {p: Span(after.get(p, seq), seq + 1) for p, seq in self.seqs().items()}
        void = self._voids[name] = Void(name, self.source, FIRST_GENERATION, lanes, streams)
        if said:
            self.say(TailVoided(void, self.topic, "a mistake", "Ada"))
        for partition, span in lanes.items():
            self.mark(partition, RolledBack(name, span.after))
        return void

    def restore(self, name: str) -> None:
        """What a void took away counts again from here on."""
        self.say(TailRestored(name, self.source, self.topic, "no mistake", "Eve"))
        for partition in self.lanes:
            self.mark(partition, RolledForward(name))

    def barrier(
        self, name: str, counting: str = "", sums: dict[str, TableSums] | None = None
    ) -> None:
        """There is a barrier in every lane."""
        for partition in self.lanes:
            placed = BarrierPlaced(name, "test", counting=counting, sums=sums or {})
            self.mark(partition, placed)

    def mark(self, partition: int, event: Any) -> None:
        """A lane has a control event."""
        self._add(partition, f"memferry/{self.source}", CONTROL_TYPE_OF[type(event)], event)

    def say(self, event: Any) -> None:
        """The source's own lane of the control topic has an event."""
        name = CONTROL_TYPE_OF[type(event)]
        self._add(CONTROL_PARTITION, f"memferry/{self.source}", name, event)

    def log(self) -> dict[int, list["ConsumerRecord[bytes, bytes]"]]:
        """Return the data lanes as Kafka hands them out."""
        topic = f"{self.topic}.{FIRST_GENERATION}"
        return {
            p: [record(topic, p, offset, value) for offset, value in enumerate(lane)]
            for p, lane in self.lanes.items()
        }

    def send(self, broker: Broker, settings: Settings, *partitions: int) -> None:
        """Kafka has what is new: of the control topic, then of the others, or of those named."""
        for place in (CONTROL_PARTITION, *(partitions or self.lanes)):
            lane = self.control if place == CONTROL_PARTITION else self.lanes[place]
            new = lane[self._sent.get(place, 0) :]
            self._sent[place] = len(lane)
            if place == CONTROL_PARTITION:
                broker.send_control(settings, new)
            else:
                broker.send(settings, place, new)

    def _add(self, partition: int, stream: str, name: str, event: Any) -> None:
        lane = self.control if partition == CONTROL_PARTITION else self.lanes[partition]
        chain = envelope.digest(lane[-1]) if lane else self._genesis(partition)
        head = envelope.HeadWriter(self.source, name).head(stream, new_id(), _NOW_NS)
        lane.append(envelope.seal(head, msgspec.json.encode(event), len(lane) + 1, 1, chain))

    def _genesis(self, partition: int) -> str:
        return genesis(LaneId(self.source, FIRST_GENERATION, partition)).digest


def history(topic: str, *accounts: str) -> Written:
    """Return a log in which each account holds 0, 1 and 3, one after another."""
    written = Written(topic=topic)
    written.record(*opened(*accounts))
    for account in accounts:
        written.record(deposited(account, 1, 1), deposited(account, 2, 3))
    return written
