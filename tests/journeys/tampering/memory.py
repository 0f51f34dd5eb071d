"""Memory, changed behind the shim's back: entities in dicts, and entities in rings."""

import random
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from projector.audit.compare import Finding
from projector.audit.run import audit
from schemas.domain import Kind
from schemas.trading import DOMAIN
from tests.journeys.tampering.cases import Case, Judged, Where, judged, where_of
from tests.journeys.tampering.trader import Store, Trader, is_windowed
from tests.journeys.tampering.values import altered_field

KINDS_BY_NAME = {kind.name: kind for kind in DOMAIN.kinds}


class Done(NamedTuple):
    """What was done: in words, the rows that are concerned, and the keys that are out of place."""

    words: str
    rows: set[Where]
    keys: Sequence[Any] = ()


class MemoryPlace:
    """One app, tampered with and put back again and again."""

    def __init__(self, app: Trader) -> None:
        self._app = app

    async def judge(self, case: Case) -> Judged:
        """Tamper, audit, put everything back."""
        before = {name: _kept(store) for name, store in self._app.stores.items()}
        done = self._tamper(case.kind, case.draw())
        try:
            found = await self.audit()
        finally:
            for name, store in self._app.stores.items():
                store.clear()
                for key, content in before[name].items():
                    store[key] = content
        return judged(case, done.words, found, _missed(done, found))

    async def audit(self) -> list[Finding]:
        """Compare memory with the log."""
        result = await audit(self._app.settings, DOMAIN, with_tables=False, timeout_s=30)
        return [finding for finding in result.findings if finding.witness == "memory"]

    def _tamper(self, how: str, draw: random.Random) -> Done:
        kind = KINDS_BY_NAME[draw.choice(sorted(KINDS_BY_NAME))]
        store = self._app.stores[kind.name]
        if is_windowed(kind):
            return _IN_RINGS[how](kind, store, draw)
        return _IN_DICTS[how](kind, store, draw)


def _kept(store: Store) -> dict[Any, Any]:
    return {
        key: deque(content, content.maxlen) if isinstance(content, deque) else content
        for key, content in store.items()
    }


def _missed(done: Done, found: Iterable[Finding]) -> list[Any]:
    """Return the rows and keys that no finding names."""
    told = list(found)
    named = {(finding.table, finding.key.partition(" (")[0]) for finding in told}
    said = [text for f in told if f.problem == "misplaced" for text in (f.key, f.detail)]
    rows: list[Any] = sorted(done.rows - named)
    return rows + [key for key in done.keys if not any(repr(key) in text for text in said)]


def _rows(kind: Kind, *entities: Any) -> set[Where]:
    return {where_of(table, row) for entity in entities for table, row in kind.rows(entity)}


# --- dicts


def _flip(kind: Kind, store: Store, draw: random.Random) -> Done:
    key = draw.choice(sorted(store))
    field = draw.choice([name for name in kind.fields if name not in kind.key])
    before = store[key]
    after = store[key] = altered_field(before, field, draw)
    return Done(f"{kind.name} {key}: another {field}", _rows(kind, before, after))


def _delete(kind: Kind, store: Store, draw: random.Random) -> Done:
    key = draw.choice(sorted(store))
    return Done(f"{kind.name} {key} taken out", _rows(kind, store.pop(key)))


def _insert(kind: Kind, store: Store, draw: random.Random) -> Done:
    key = draw.choice(sorted(store))
    foreign = f"{key}-{draw.randrange(1000)}"
    added = store[foreign] = msgspec.structs.replace(store[key], **{kind.key[0]: foreign})
    return Done(f"{kind.name} {foreign} put in", _rows(kind, added))


def _swap(kind: Kind, store: Store, draw: random.Random) -> Done:
    one, other = draw.sample(sorted(store), 2)
    store[one], store[other] = store[other], store[one]
    return Done(f"{kind.name} {one} and {other} under each other's key", set(), [one, other])


def _duplicate(kind: Kind, store: Store, draw: random.Random) -> Done:
    key = draw.choice(sorted(store))
    second = f"{key}-{draw.randrange(1000)}"
    store[second] = store[key]
    return Done(f"{kind.name} {key} under {second}, too", _rows(kind, store[key]), [second])


def _truncate(kind: Kind, store: Store, draw: random.Random) -> Done:
    keys = list(store)
    end = keys[draw.randrange(len(keys)) :]
    gone = [store.pop(key) for key in end]
    return Done(f"{kind.name} from {end[0]} on taken out", _rows(kind, *gone))


# --- rings


def _ring(store: Store, draw: random.Random, least: int = 1) -> tuple[Any, list[Any]]:
    key = draw.choice(sorted(key for key, ring in store.items() if len(ring) >= least))
    return key, list(store[key])


def _flip_in_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    key, ring = _ring(store, draw)
    at = draw.randrange(len(ring))
    field = draw.choice([name for name in kind.fields if name not in kind.key])
    before = ring[at]
    after = store[key][at] = altered_field(before, field, draw)
    return Done(f"{kind.name} {key}, place {at}: another {field}", _changed(kind, before, after))


def _changed(kind: Kind, before: Any, after: Any) -> set[Where]:
    """Return the places of the rows that are not the same in both."""
    old, new = ({where_of(t, row): row for t, row in kind.rows(e)} for e in (before, after))
    return {where for where in {*old, *new} if old.get(where) != new.get(where)}


def _delete_in_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    key, ring = _ring(store, draw, 2)
    at = draw.randrange(1, len(ring))  # the oldest is gone as one that was evicted
    del store[key][at]
    return Done(f"{kind.name} {key}, place {at} taken out", _rows(kind, ring[at]))


def _insert_in_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    key, ring = _ring(store, draw)
    field = kind.key[1]
    at = draw.randrange(len(ring))
    moved = getattr(ring[at], field) + timedelta(microseconds=1 + draw.randrange(1000))
    added = msgspec.structs.replace(ring[at], **{field: moved})
    store[key] = deque([*ring[: at + 1], added, *ring[at + 1 :]])  # longer: nothing is lost by it
    return Done(f"{kind.name} {key}: another one behind place {at}", _rows(kind, added))


def _swap_in_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    key, ring = _ring(store, draw, 2)
    key_of = kind.key_getter()
    if draw.randrange(2):  # with one of another ring
        others = {other: content for other, content in store.items() if other != key}
        other, far = _ring(others, draw)
        here, there = draw.randrange(len(ring)), draw.randrange(len(far))
        store[key][here], store[other][there] = far[there], ring[here]
        words = f"{kind.name}: {key}, place {here}, and {other}, place {there}, exchanged"
        return Done(words, set(), [key_of(ring[here]), key_of(far[there])])
    one, two = draw.sample(range(len(ring)), 2)
    store[key][one], store[key][two] = ring[two], ring[one]
    words = f"{kind.name} {key}: places {one} and {two} exchanged"
    return Done(words, set(), [key])


def _duplicate_in_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    key, ring = _ring(store, draw)
    at = draw.randrange(len(ring))
    store[key] = deque([*ring, ring[at]])
    return Done(f"{kind.name} {key}: place {at} twice", set(), [kind.key_getter()(ring[at])])


def _truncate_ring(kind: Kind, store: Store, draw: random.Random) -> Done:
    """Cut the newest off: a ring that lost its oldest, or all, is as one that evicted them."""
    key, ring = _ring(store, draw, 2)
    count = 1 + draw.randrange(len(ring) // 2)
    store[key] = deque(ring[:-count], store[key].maxlen)
    return Done(f"{kind.name} {key}: the {count} newest taken out", _rows(kind, *ring[-count:]))


_IN_DICTS = {
    "flip": _flip, "delete": _delete, "insert": _insert, "swap": _swap,
    "duplicate": _duplicate, "truncate": _truncate,
}  # fmt: skip
_IN_RINGS = {
    "flip": _flip_in_ring, "delete": _delete_in_ring, "insert": _insert_in_ring,
    "swap": _swap_in_ring, "duplicate": _duplicate_in_ring, "truncate": _truncate_ring,
}  # fmt: skip
