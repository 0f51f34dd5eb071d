"""A shim without a broker, its collections, and what its outbox says of them."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.shim import Ferry
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.domain import load_domain
from schemas.errors import FerryError
from schemas.lane import LaneCheck, LaneId, genesis
from schemas.settings import Outbox, Settings
from tests.eventlog.app import DEADLINE_S, rows_of

IDENTITY = OutboxIdentity("app-1", "t", 1, 3)
State = dict[Any, msgspec.Struct]


class Book:
    """A ferry on one outbox file."""

    def __init__(self, path: Path, *, write_through: bool = False) -> None:
        self.path = path
        settings = Settings(
            source=IDENTITY.source,
            topic=IDENTITY.topic,
            outbox=Outbox(path=str(path), write_through=write_through),
        )
        self.ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), load_domain(""))
        self._row = 0
        self._lanes: dict[int, LaneCheck] = {}
        self._state: dict[str, State] = {}

    def of(self, cls: type, name: str = "trades", key: str = "id", **given: Any) -> Any:
        """Return a recorded dict of entities."""
        self.ferry.entity(stream=name.removesuffix("s"), key=key)(cls)
        return self.ferry.dict(name, cls, **given)

    def again(self) -> "Book":
        """Close the ferry; return a new one on the same outbox, as after a restart."""
        self.close()
        return Book(self.path)

    def close(self) -> None:
        self.ferry.close(DEADLINE_S)

    @property
    def events(self) -> int:
        return self.ferry.stats()["events_recorded"]

    def folded(self) -> dict[str, State]:
        """Return what the durable events say: kind → key → the last event that states it."""
        self.ferry.flush(DEADLINE_S)
        domain = self.ferry.domain
        for kind in domain.kinds:
            self._state.setdefault(kind.name, {})
        reader = SqliteOutboxReader(self.path)
        rows = reader.rows(self._row, 1_000_000)
        reader.close()
        for row in rows:
            self._row += 1
            found = self._admit(row)
            if found.type.startswith(CONTROL_PREFIX):
                continue
            kind, event_type = domain.by_type[found.type]
            event = msgspec.json.decode(found.data, type=event_type)
            key = kind.key_getter()(event)
            if found.type.endswith(".removed.v1"):
                del self._state[kind.name][key]
            else:
                self._state[kind.name][key] = event
        return self._state

    def _admit(self, row: OutboxRow) -> envelope.Envelope:
        """Demand that rows count 1, 2, 3 …, and that every lane is numbered and chained whole."""
        assert row.row == self._row
        lane = LaneId(IDENTITY.source, IDENTITY.generation, row.partition)
        check = self._lanes.setdefault(row.partition, LaneCheck(lane, genesis(lane)))
        found = envelope.decode(row.event)
        assert check.admit(row.event, row.seq, found.epoch, found.chain, self._row)
        return found

    def units(self) -> list[list[str]]:
        """Return the subjects of each unit's events, in their order."""
        self.ferry.flush(DEADLINE_S)
        units: dict[str, list[str]] = {}
        for row in rows_of(self.path):
            found = envelope.decode(row.event)
            if not found.type.startswith(CONTROL_PREFIX):
                units.setdefault(found.unit or found.id, []).append(found.subject)
        return list(units.values())


def stated(book: Book, kind_name: str, entities: Mapping[Any, Any]) -> State:
    """Return what the events of these entities say."""
    kind = book.ferry.domain.kind(kind_name)
    return {key: kind.snapshot(entity) for key, entity in entities.items()}


def values_logged(book: Book, name: str) -> list[Any]:
    """Return the values of a recorded list or deque of plain values, as the log has them."""
    rows = book.folded()[name]
    return [getattr(rows[key], "value") for key in sorted(rows)]  # noqa: B009  (its type is made)


Outcome = tuple[str, Any]


def outcome(operation: Callable[[Any], Any], target: Any) -> Outcome:
    """Return what an operation returned, or the type of what it raised."""
    try:
        result = operation(target)
    except FerryError:
        raise
    except Exception as error:
        return ("raised", type(error))
    return ("returned", "itself" if result is target else result)


def plain_of(collection: Any) -> Any:
    """Return a plain container of the same items."""
    if isinstance(collection, dict):
        return dict(collection)
    if isinstance(collection, deque):
        return deque(collection, collection.maxlen)
    return set(collection) if isinstance(collection, set) else list(collection)


def ordered(collection: Any) -> Sequence[Any]:
    """Return the items in their order, also of a dict; sorted where there is none."""
    if isinstance(collection, set):
        return sorted(collection, key=repr)
    return list(collection.items()) if isinstance(collection, dict) else list(collection)
