"""What an audit or a validation comes to: verdict, score, levels, findings, and what to do next.

Written by `compose.report` for the terminal, as JSON, JUnit XML, and HTML.
"""

import datetime
from typing import Literal

import msgspec

from projector.audit.levels.level import LevelName, LevelResult


class ReportFinding(msgspec.Struct, frozen=True):
    """Something that is wrong, as a reader needs it: what, where, which rows, what to do next."""

    level: LevelName | Literal["equality"]
    rule: str
    what: str
    where: str
    """Which witness or source, and table or kind: `tables, trades`."""
    count: int
    rows: list[str]
    observed: str = ""
    expected: str = ""
    next: str = ""
    """The command to run next."""
    veto: bool = False


class LevelScore(msgspec.Struct, frozen=True):
    """A level's share of the score: `score` and `weight` of 100."""

    level: LevelName | Literal["equality"]
    score: float
    weight: float
    looked: int
    broken: int
    sampled: float = 1.0


class Score(msgspec.Struct, frozen=True):
    """The quality in one number, from 0 to 100, and what it is made of."""

    total: float
    threshold: float
    levels: list[LevelScore]
    vetoes: list[str]
    """Why the gate is closed whatever the score."""

    @property
    def passed(self) -> bool:
        """Whether the score reaches its threshold and nothing vetoes."""
        return self.total >= self.threshold and not self.vetoes


class TableEquality(msgspec.Struct, frozen=True):
    """Whether the witnesses agree on one table; counts are of rows, None where not asked."""

    table: str
    equal: bool
    log_rows: int
    table_rows: int | None
    memory_rows: int | None


class Distribution(msgspec.Struct, frozen=True):
    """One field's values in source and target, as shares of bins; drift by KS and PSI."""

    field: str
    """As `trade.fees`."""
    edges: list[float]
    """One more than there are bins."""
    source: list[float]
    target: list[float]
    ks: float
    """Kolmogorov-Smirnov: the largest difference of the two shares below a value, 0 to 1."""
    psi: float
    """Population stability index: above 0.2 the two are commonly called different."""
    drifted: bool


class TimeSeries(msgspec.Struct, frozen=True):
    """Values over time, for a plot: seconds of the Unix epoch, and values in `unit`."""

    name: str
    unit: str
    at_s: list[float]
    values: list[float]


class Recommendation(msgspec.Struct, frozen=True):
    """An action: the command, the position that it goes to, and what it would change."""

    command: str
    why: str
    changes: str
    position: str = ""


class Report(msgspec.Struct, frozen=True):
    """One audit or validation, whole."""

    kind: Literal["audit", "validation"]
    projection: str
    source: str
    """What was looked at: `memory, log and tables`, `tables`, a file's name."""
    position: str
    started_at: datetime.datetime
    seconds: float
    passed: bool
    score: Score | None
    tables: list[TableEquality]
    levels: list[LevelResult]
    findings: list[ReportFinding]
    coverage: list[str]
    """What was looked at and what was not: one line each."""
    distributions: list[Distribution] = []
    series: list[TimeSeries] = []
    recommendations: list[Recommendation] = []
    voids: list[str] = []
    """Ids of the voids that are in force: an audit's position is named by these, too."""
