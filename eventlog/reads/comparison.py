"""One kind's memory compared with its tables while both move."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from eventlog.reads.consistent import ConsistentReads
from eventlog.reads.memory import Memory
from eventlog.reads.question import Question, Questions
from schemas.tables import key_text

_ATTEMPTS = 5
_LOOKED_UP_MAX = 200
"""Entities of one answer that are looked up one by one."""


class Mismatch(NamedTuple):
    """Memory and tables say different things of one entity, or of how many there are."""

    kind: str
    key: str
    """As `key_text` writes it; empty where it is about the number of entities."""
    what: tuple[str, ...]
    """The fields that differ, or one sentence. Values are not kept: they may be secret."""


class Comparison:
    """Compares one kind.

    Tables are right where, once they hold all that was recorded, they say what memory said before
    or says after. They are wrong only where memory stood still meanwhile, which frozen entities
    show by being the same object, others by an equal state, and did so again.
    """

    def __init__(
        self, memory: Memory, tables: ConsistentReads, others_write: Callable[[], bool]
    ) -> None:
        """`others_write` says whether other sources write the same tables."""
        kind = memory.kind
        self._kind = kind
        self._memory = memory
        self._tables = tables
        self._questions = Questions(kind)
        self._key = kind.key_getter()
        self._windowed = any(table.windowed for table in kind.tables)
        self._others_write = others_write
        self._state: Callable[[Any], Any] = _itself if kind.description is None else kind.snapshot

    def _same(self, one: Any, other: Any) -> bool:
        if one is None or other is None:
            return one is other
        return bool(self._state(one) == self._state(other))

    def _stood_still(self, before: Any, after: Any) -> bool:
        return before is after or (self._kind.description is not None and self._same(before, after))

    def answer(self, question: Question, answered: Iterable[Any]) -> list[Mismatch]:
        """Return what is wrong with the tables' answer to a question that memory has answered.

        Entities that differ, or that only one side has, are looked up one by one.
        """
        said = {self._key(entity): entity for entity in answered}
        found = {self._key(entity): entity for entity in self._tables.entities(question)}
        doubtful = [key for key, entity in said.items() if not self._same(found.get(key), entity)]
        if not self._windowed:
            doubtful += [key for key in found if key not in said]
        return self._looked_up(doubtful[:_LOOKED_UP_MAX])

    def entities(self, keys: Iterable[Any]) -> list[Mismatch]:
        """Return what is wrong with the tables' entities of these keys.

        The tables are waited for once; only what differs then is looked up with a wait of its own.
        """
        before = {key: self._memory.get(key) for key in keys}
        self._tables.follow()
        doubtful = []
        for key, entity in before.items():
            rows = self._tables.entities(self._questions.one(key), wait=False)
            row = rows[0] if rows else None
            if not (self._same(row, entity) or self._same(row, self._memory.get(key))):
                doubtful.append(key)
        return self._looked_up(doubtful)

    def entity(self, key: Any) -> Mismatch | None:
        """Return what is wrong with the tables' entity of a key."""
        question = self._questions.one(key)
        wrong = None
        for attempt in range(_ATTEMPTS):
            waits = attempt > 0  # what agrees at once need not be waited for
            before = self._memory.get(key)
            rows = self._tables.entities(question, wait=waits)
            after = self._memory.get(key)
            found = rows[0] if rows else None
            if self._same(found, before) or self._same(found, after):
                return None
            if not (waits and self._stood_still(before, after)):
                continue  # it changed meanwhile, or the tables are behind: nothing is proven
            if after is None and (self._windowed or self._others_write()):
                return None  # evicted from memory, or never this app's
            wrong = Mismatch(self._kind.name, self._text(key), self._differing(after, found))
        return wrong

    def number(self) -> Mismatch | None:
        """Return what is wrong with how many entities the tables hold; None for kinds in rings."""
        wrong = None
        if not self._windowed and not self._others_write():
            for _ in range(_ATTEMPTS):
                before = self._memory.count()
                found = self._tables.count()
                after = self._memory.count()
                if min(before, after) <= found <= max(before, after):
                    return None
                if before == after:
                    what = f"memory holds {after} entities, the tables {found}"
                    wrong = Mismatch(self._kind.name, "", (what,))
        return wrong

    def _looked_up(self, keys: Iterable[Any]) -> list[Mismatch]:
        found = (self.entity(key) for key in keys)
        return [mismatch for mismatch in found if mismatch is not None]

    def _text(self, key: Any) -> str:
        return key_text(key if len(self._kind.key) > 1 else (key,))

    def _differing(self, in_memory: Any, in_tables: Any) -> tuple[str, ...]:
        if in_memory is None:
            return ("it is not in memory",)
        if in_tables is None:
            return ("it is not in the tables",)
        one, other = self._state(in_memory), self._state(in_tables)
        return tuple(
            name for name in self._kind.fields if getattr(one, name) != getattr(other, name)
        )


def _itself(entity: Any) -> Any:
    return entity
