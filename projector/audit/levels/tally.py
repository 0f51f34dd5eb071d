"""What a level has found so far: broken rules, counted, with the first records of each named."""

from typing import NamedTuple

from projector.audit.commands import bisect_command
from projector.audit.levels.level import ROWS_NAMED, Breach, LevelName
from projector.audit.records.record import Record
from schemas.domain import Domain

SUSPECTS_MOST = 50_000
STREAMS_MOST = 100_000
"""Streams that one rule follows at once; further ones are not, and it says so."""


class Broken(NamedTuple):
    """A rule as a report names it."""

    rule: str
    what: str
    kind: str
    veto: bool = False

    def left_out(self, records: int) -> list[str]:
        """Say how many records it was not asked of, since their streams were too many."""
        if not records:
            return []
        return [f"{self.rule}: {records} records of more than {STREAMS_MOST} streams"]


class _First:
    """The first of a rule's breaches, and how many there are."""

    def __init__(self, observed: str, expected: str, step: str) -> None:
        self.observed, self.expected, self.next = observed, expected, step
        self.count = 0
        self.rows: list[str] = []


class Tally:
    """Breaches of one level, in the order in which each rule was first broken.

    `suspects`: only these are counted, where a source is looked at for a second time.
    """

    def __init__(
        self, level: LevelName, domain: Domain, suspects: frozenset[int] | None = None
    ) -> None:
        self.suspects: set[int] = set()
        """What was found, rule by rule and row by row: up to `SUSPECTS_MOST`."""
        self._only = suspects
        self._level = level
        self._tables = {kind.name: kind.tables[0].name for kind in domain.kinds if kind.tables}
        self._found: dict[Broken, _First] = {}

    def note(
        self, broken: Broken, record: Record, observed: str, expected: str, step: str = ""
    ) -> None:
        """Count one more record that breaks a rule; `step` is what to do next, if not to bisect."""
        row = record.key or record.place
        if record.step or not record.key:
            row = f"{record.key} ({record.place})" if record.key else record.place
        self.add(broken, row, observed, expected, step or self.look_at(record))

    def add(self, broken: Broken, row: str, observed: str, expected: str, step: str) -> bool:
        """Count one more, given in words; the first one's say what to do next.

        Returns: False where it is not counted, for it is no suspect.
        """
        suspect = hash((broken.rule, row))
        if self._only is not None and suspect not in self._only:
            return False
        if len(self.suspects) < SUSPECTS_MOST:
            self.suspects.add(suspect)
        found = self._found.get(broken)
        if found is None:
            found = self._found[broken] = _First(observed, expected, step)
        found.count += 1
        if row and len(found.rows) < ROWS_NAMED:
            found.rows.append(row)
        return True

    def look_at(self, record: Record) -> str:
        """Return the command that shows more of a record."""
        if record.place.startswith("line ") or record.kind is None:
            return f"correct {record.place} of what was read, and validate it again"
        return self.bisect(record.kind.name, record.key)

    def bisect(self, kind: str, key: str) -> str:
        """Return the command that finds the event from which on an entity is wrong."""
        table = self._tables.get(kind)
        return bisect_command(table, key) if table else ""

    def breaches(self) -> list[Breach]:
        """Return what was found."""
        return [
            Breach(
                self._level, broken.rule, broken.what, broken.kind, found.count, found.rows,
                found.observed, found.expected, found.next, broken.veto,
            )
            for broken, found in self._found.items()
        ]  # fmt: skip
