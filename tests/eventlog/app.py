"""A small app on the ledger domain, its events, and what its outbox says of it."""

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import apsw
import msgspec

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.shim import Ferry
from schemas import envelope
from schemas.lane import LaneCheck, LaneId, genesis
from schemas.settings import Kafka, Outbox, Settings
from tests.domains.ledger import (
    DOMAIN,
    Account,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    Reading,
    ReadingTaken,
)

AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
IDENTITY = OutboxIdentity("app-1", "t", 1, 3)
WINDOW = 3
DEADLINE_S = 10.0

Memory = dict[str, dict[Any, Any]]


def opened(name: str, **changes: Any) -> AccountOpened:
    return msgspec.structs.replace(AccountOpened(name, "ann", AT), **changes)


def deposited(name: str, amount: Any, balance: Any) -> AmountDeposited:
    return AmountDeposited(name, Decimal(amount), Decimal(balance))


def closed(name: str) -> AccountClosed:
    return AccountClosed(name)


def taken(meter: str, number: int, value: Any = 1) -> ReadingTaken:
    return ReadingTaken(meter, number, Decimal(value))


def account(name: str, balance: Any = 0) -> Account:
    return Account(name, "ann", Decimal(balance), AT)


def readings(meter: str, *numbers: int) -> "deque[Reading]":
    return deque((Reading(meter, n, Decimal(1)) for n in numbers), maxlen=WINDOW)


def new_rings() -> "defaultdict[str, deque[Reading]]":
    return defaultdict(lambda: deque(maxlen=WINDOW))


class App:
    """Accounts in a dict, readings in rings, and a shim that has no broker."""

    def __init__(
        self,
        path: Path,
        *,
        accounts: dict[str, Account] | None = None,
        rings: "dict[str, deque[Reading]] | None" = None,
        identity: OutboxIdentity = IDENTITY,
        queue_events: int = 50_000,
        max_event_bytes: int = 1_000_000,
        options: Outbox = Outbox(),  # noqa: B008  (immutable)
    ) -> None:
        self.path = path
        self.accounts = {} if accounts is None else accounts
        self.rings = new_rings() if rings is None else rings
        settings = Settings(
            source=identity.source,
            topic=identity.topic,
            kafka=Kafka(max_event_bytes=max_event_bytes),
            outbox=msgspec.structs.replace(options, path=str(path), queue_events=queue_events),
        )
        self.ferry = Ferry(settings, SqliteOutbox(path, identity), DOMAIN)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)

    def memory(self) -> Memory:
        """Return a copy of what the app holds now."""
        return {"account": dict(self.accounts), "reading": by_number(self.rings)}

    def close(self) -> None:
        self.ferry.close(DEADLINE_S)


def by_number(rings: "dict[str, deque[Reading]]") -> dict[Hashable, Any]:
    found: dict[Hashable, Any] = {}
    for ring in rings.values():
        for reading in ring:
            assert (reading.meter, reading.number) not in found, "one reading stands twice"
            found[reading.meter, reading.number] = reading
    return found


def rows_of(path: Path) -> list[OutboxRow]:
    """Return everything that is durable."""
    reader = SqliteOutboxReader(path)
    found: list[OutboxRow] = []
    try:
        while more := reader.rows(found[-1].row if found else 0, 10_000):  # a chunk is bounded
            found += more
        return found
    finally:
        reader.close()


def require_whole_lanes(rows: Iterable[OutboxRow], identity: OutboxIdentity = IDENTITY) -> None:
    """Demand that rows count 1, 2, 3 …, and that every lane is numbered and chained whole."""
    lanes: dict[int, LaneCheck] = {}
    for number, row in enumerate(rows, 1):
        assert row.row == number
        if row.partition not in lanes:
            lane = LaneId(identity.source, identity.generation, row.partition)
            lanes[row.partition] = LaneCheck(lane, genesis(lane))
        event = envelope.decode(row.event)
        assert (int(event.seq), event.subject) == (row.seq, row.stream)
        assert lanes[row.partition].admit(row.event, row.seq, event.epoch, event.chain, number)


def fold(rows: Iterable[OutboxRow]) -> Memory:
    """Return what the log says of memory, with nothing evicted."""
    state: Memory = {kind.name: {} for kind in DOMAIN.kinds}
    for row in rows:
        found = envelope.decode(row.event)
        if found.type.startswith("memferry."):
            continue
        kind, event_type = DOMAIN.by_type[found.type]
        event = msgspec.json.decode(found.data, type=event_type)
        key = kind.key_getter()(event)
        entity = kind.evolve(state[kind.name].get(key), event)
        if entity is None:
            del state[kind.name][key]
        else:
            state[kind.name][key] = entity
    return state


def types_of(rows: Iterable[OutboxRow]) -> list[str]:
    return [envelope.decode(row.event).type for row in rows]


class BusyDisk:
    """Holds the outbox file's write lock, so that no commit gets on while it is entered."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._db = apsw.Connection(str(self._path))
        self._db.set_busy_timeout(5_000)
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._db.execute("ROLLBACK")
        self._db.close()


def refuse_commits(path: Path) -> None:
    """Make every later commit to the outbox fail: its inserts hit a trigger of the file's own."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(5_000)
    db.execute(
        "CREATE TRIGGER broken BEFORE INSERT ON event "
        "BEGIN SELECT RAISE(ABORT, 'the disk is gone'); END"
    )
    db.close()


def allow_commits(path: Path) -> None:
    """Mend what `refuse_commits` broke."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(5_000)
    db.execute("DROP TRIGGER broken")
    db.close()
