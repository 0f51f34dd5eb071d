"""What every level of validation has in common: it is given records, and ends with a result."""

from typing import Literal, Protocol, TypeAlias

import msgspec

from projector.audit.records.record import Record

LevelName: TypeAlias = Literal["syntax", "semantic", "business", "cross_reference", "statistical"]
LEVELS: tuple[LevelName, ...] = (
    "syntax", "semantic", "business", "cross_reference", "statistical",
)  # fmt: skip
ROWS_NAMED = 5
"""Of each broken rule, how many records are named; all are counted."""


class Breach(msgspec.Struct, frozen=True):
    """One rule that records break, or that finds what no record should be.

    `count` is of records; `rows` names the first of them by key (with its place where that tells
    more); `observed` and `expected` are of the first.
    """

    level: LevelName
    rule: str
    """The rule's name, as `trade.fees_recompute`."""
    what: str
    """What is wrong, in one line: `fees are not those of the fills`."""
    kind: str
    count: int
    rows: list[str]
    observed: str = ""
    expected: str = ""
    next: str = ""
    """The command to run next, or what else to do."""
    veto: bool = False
    """Whether it closes the gate whatever the score: lost or foreign events, a broken chain, an
    unbalanced book, a store without a rule."""


class LevelResult(msgspec.Struct, frozen=True):
    """What one level says of one source of records."""

    level: LevelName
    looked: int
    """Records that were looked at."""
    broken: int
    """Records of which at least one rule does not hold."""
    rules: list[str]
    """Names of the rules that were checked."""
    breaches: list[Breach]
    skipped: list[str] = []
    """What was not looked at, and why: `signal: no rules are declared`."""
    sampled: float = 1.0
    """The share of the records that the rules saw: 1 for all."""
    seconds: float = 0.0


class Level(Protocol):
    """One level of validation, over one source of records; used once."""

    name: LevelName

    def add(self, record: Record) -> None:
        """Look at one record; memory stays bounded, however many come."""

    def finish(self) -> LevelResult:
        """Say what was found."""
