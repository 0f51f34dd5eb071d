"""Golden files: one event a line as it was once written, and what it did to entity and tables.

A line is never changed: each has the SHA-256 of the one before it and itself. A new version of an
event is a new line, appended by `python -m tests.golden.add`.
"""

import hashlib
from pathlib import Path
from typing import Any

import msgspec

from projector.effects import Effects
from schemas import envelope
from schemas.domain import Domain
from schemas.envelope import Envelope
from schemas.lane import LaneId, genesis
from schemas.tables import Change, Row, Table
from schemas.trading import DOMAIN as TRADING
from tests.domains.versioned import DOMAIN as VERSIONED

DOMAINS = {"trading": TRADING, "versioned": VERSIONED}
DIRECTORY = Path(__file__).parent
LANE = LaneId("app-1", 1, 0)
_canonical = msgspec.json.Encoder(order="deterministic").encode


class Line(msgspec.Struct, frozen=True):
    """`event` is the record's value as text; `changes` and `rows` are what it did, and left."""

    event: str
    changes: list[Any]
    rows: list[Any]
    digest: str = ""

    @property
    def value(self) -> bytes:
        """The record's value."""
        return self.event.encode()


def read(name: str) -> list[Line]:
    """Return the lines of one domain's file."""
    path = DIRECTORY / f"{name}.jsonl"
    text = path.read_bytes() if path.exists() else b""
    return [msgspec.json.decode(line, type=Line) for line in text.splitlines()]


def digest_of(line: Line, before: str) -> str:
    """Return what a line's digest must be behind another one's."""
    content = [before, line.event, line.changes, line.rows]
    return hashlib.sha256(_canonical(content)).hexdigest()


def sealed(lines: list[Line], event_type: str, subject: str, data: bytes) -> bytes:
    """Return a new event behind the lines' last one, in their lane."""
    seq = len(lines) + 1
    chain = envelope.digest(lines[-1].value) if lines else genesis(LANE).digest
    event_id = f"0190a7c4-0000-7000-8000-{seq:012d}"
    head = envelope.HeadWriter(LANE.source, event_type).head(subject, event_id, seq * 10**9)
    return envelope.seal(head, data, seq, 0, chain)


class Story:
    """What a file's events do, one after the other, by the code of today."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._effects = Effects(domain)
        self.entities: dict[tuple[str, Any], Any] = {}

    def tell(self, event: Envelope) -> tuple[list[Any], list[Any]]:
        """Return the next event's changes, and its entity's rows behind it, as plain values."""
        reader = self._domain.readers[event.type]
        kind, decoded = reader.kind, reader.read(event.data)
        place = (kind.name, kind.key_getter()(decoded))
        entity = kind.evolve(self.entities.get(place), decoded)
        if entity is None:
            self.entities.pop(place, None)
        else:
            self.entities[place] = entity
        rows = () if entity is None else kind.rows(entity)
        return [_plain(c) for c in self._effects.of(event)], [_row(table, r) for table, r in rows]


def _plain(change: Change) -> Any:
    fields = msgspec.structs.asdict(change)
    return [type(change).__name__, fields.pop("table").name, _builtin(fields)]


def _row(table: Table, row: Row) -> Any:
    return [table.name, _builtin(row)]


def _builtin(value: Any) -> Any:
    return msgspec.json.decode(_canonical(value))
