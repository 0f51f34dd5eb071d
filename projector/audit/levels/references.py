"""One reference rule, compiled: what an entity names, and how that looks in the kind named."""

import datetime
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import Any

from projector.audit.levels.known_keys import KnownKeys, Pending
from projector.audit.levels.tally import Broken
from schemas.domain import Kind
from schemas.rules import Reference
from schemas.tables import key_text

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)


class Target:
    """A kind that others name: what is known of its entities."""

    def __init__(self, kind: Kind, known: KnownKeys) -> None:
        self.kind = kind
        self.seen = 0
        self._known = known
        self._key = kind.key_getter()
        self._several = len(kind.key) > len(kind.stream)
        self._window = self._several and any(table.windowed for table in kind.tables)
        self._stream = attrgetter(*kind.stream)
        self._last = attrgetter(kind.key[-1])
        self._same: dict[tuple[str, ...], Callable[[Any], Any]] = {}
        self._by_stream = False
        self._oldest: dict[int, int] = {}

    def follow(self, rule: Reference) -> None:
        """Keep what a rule will ask for."""
        if rule.same:
            self._same[rule.same] = attrgetter(*rule.same)
        self._by_stream |= rule.to_stream

    def add(self, entity: Any) -> None:
        """Note that there is an entity."""
        self.seen += 1
        name, add = self.kind.name, self._known.add
        key = self._key(entity)
        add(key_hash(name, key))
        for fields, get in self._same.items():
            add(same_hash(name, key, fields, get(entity)))
        if self._by_stream:
            add(stream_hash(name, self._stream(entity)))
        if self._window:
            stream, place = self.place(key)
            if stream is not None and place is not None:
                oldest = self._oldest.get(stream)
                if oldest is None or place < oldest:
                    self._oldest[stream] = place

    def place(self, key: Any) -> tuple[int | None, int | None]:
        """Return the stream of a key, and the key's place in it; of windowed kinds."""
        if not self._window or not isinstance(key, tuple) or len(key) != len(self.kind.key):
            return None, None
        last = key[-1]
        if isinstance(last, datetime.datetime) and last.tzinfo is not None:
            last = (last - _EPOCH) // _MICROSECOND
        if not isinstance(last, int):
            return None, None
        stream = key[: len(self.kind.stream)]
        return stream_hash(self.kind.name, stream[0] if len(stream) == 1 else stream), last

    def left_window(self, pending: Pending) -> bool:
        """Say whether what is named is older than all that is known of its stream."""
        if pending.stream is None or pending.place is None:
            return False
        oldest = self._oldest.get(pending.stream)
        return oldest is not None and pending.place < oldest


class Link:
    """One rule, at the kind that names."""

    def __init__(self, number: int, rule: Reference, target: Target) -> None:
        self.rule = rule
        self.target = target
        missing = f"it names a {rule.to} that is not there"
        self.broken = Broken(rule.name, missing, rule.kind, rule.veto)
        differs = f"it differs from the {rule.to} that it names"
        self.differs = Broken(f"{rule.name}.same", differs, rule.kind, rule.veto)
        self.unjudged = 0
        """Entities that may name what has ended since."""
        self._number = number
        one = isinstance(rule.fields, str)
        fields = (rule.fields,) if isinstance(rule.fields, str) else rule.fields
        self._fields = attrgetter(*fields)
        self._one = one or len(fields) == 1
        self._same = attrgetter(*rule.same) if rule.same else None
        target.follow(rule)

    def named(self, entity: Any) -> Iterable[Any]:
        """Return the keys that an entity names."""
        if self.rule.values is not None:
            return self.rule.values(entity)
        key = self._fields(entity)
        if key is None or (not self._one and None in key):
            return ()
        return (key,)

    def look(self, entity: Any, row: str, known: KnownKeys) -> None:
        """Ask for everything that an entity names."""
        name = self.target.kind.name
        for key in self.named(entity):
            if self.rule.to_stream:
                target = stream_hash(name, key)
                if target not in known:
                    known.ask_later(
                        Pending(self._number, target, None, None, None, row, _text(key), "")
                    )
                continue
            same, says = None, ""
            if self._same is not None:
                values = self._same(entity)
                same = same_hash(name, key, self.rule.same, values)
                if same in known:
                    continue
                says = _text(values)
            target = key_hash(name, key)
            if same is None and target in known:
                continue
            stream, place = self.target.place(key)
            known.ask_later(
                Pending(self._number, target, same, stream, place, row, _text(key), says)
            )


def key_hash(kind: str, key: Any) -> int:
    """Return 64 bits for a key, the same wherever in this process it is named."""
    return hash((kind, key if isinstance(key, str | tuple) else str(key)))


def stream_hash(kind: str, stream: Any) -> int:
    """Likewise for a stream."""
    return hash((kind, 1, stream if isinstance(stream, str | tuple) else str(stream)))


def same_hash(kind: str, key: Any, fields: tuple[str, ...], values: Any) -> int:
    """Likewise for a key with values of its entity."""
    return hash((kind, 2, key if isinstance(key, str | tuple) else str(key), fields, values))


def _text(key: Any) -> str:
    return key_text(key if isinstance(key, tuple) else (key,))
