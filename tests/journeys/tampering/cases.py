"""What is done to a place, and what the audit has to say of it."""

import random
from collections.abc import Iterable
from typing import Any, NamedTuple

from projector.audit.compare import Finding
from schemas.tables import Row, Table, key_text

KINDS = ("flip", "delete", "insert", "swap", "duplicate", "truncate")
PLACES = ("outbox", "kafka", "postgres", "memory")
Where = tuple[str, str]
"""Table and key of one row."""


class Case(NamedTuple):
    """One tampering of a campaign; all that it does follows from these four."""

    place: str
    kind: str
    number: int
    seed: int

    def draw(self) -> random.Random:
        """Return the case's own chance."""
        return random.Random(f"{self.seed} {self.place} {self.kind} {self.number}")

    def __str__(self) -> str:
        return f"{self.place} {self.kind} {self.number} (seed {self.seed})"


class Judged(NamedTuple):
    """What was done, whether an audit found it and named its place, and what it said."""

    case: Case
    did: str
    found: bool
    located: bool
    said: str


def cases(place: str, kinds: Iterable[str], count: int, seed: int) -> list[Case]:
    """Return `count` cases of each kind."""
    return [Case(place, kind, number, seed) for kind in kinds for number in range(count)]


def where_of(table: Table, row: Row) -> Where:
    """Return the place of a row, as findings name it."""
    return table.name, key_text(table.key_of(row))


def sentence(finding: Finding) -> str:
    """Return a finding as one line: where it is, and how it differs."""
    columns = "; ".join(map(str, finding.columns))
    more = columns or (finding.detail if finding.table else "")
    return f"{finding}: {more}" if more else str(finding)


def judged(
    case: Case, did: str, findings: Iterable[Finding], missing: Iterable[Any] = ()
) -> Judged:
    """Judge by what the audit found, and by those of the places that it did not name."""
    found, left = list(findings), list(missing)
    said = sentence(found[0]) if found else "nothing"
    if found and left:
        said += f"; not named: {left[:3]}"
    return Judged(case, did, bool(found), bool(found) and not left, said)
