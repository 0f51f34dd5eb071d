"""What an audit comes to."""

import msgspec

from projector.audit.compare import Finding
from projector.audit.kept_digests import Kept
from projector.parked import ParkedStream
from schemas.control import BarrierPlaced
from schemas.table_sums import Sums


class AuditMarks:
    """The sums that an audit compared, for who carries them on to a later barrier."""

    def __init__(self) -> None:
        self.barriers: dict[str, dict[int, BarrierPlaced]] = {}
        """Source → partition → this audit's barrier, with the app's own sums."""
        self.log_at_barrier: dict[str, dict[int, dict[str, Sums]]] = {}
        """Source → partition → table → sums of the log's rows at that barrier."""
        self.log: dict[str, Sums] = {}
        """Table → sums of the log's rows at the tables' position."""
        self.tables: dict[str, Sums] = {}
        """Table → sums of the rows as stored, there."""
        self.log_by_source: dict[str, dict[str, Sums]] = {}
        """Source → table → sums of its rows among those."""
        self.kept: Kept | None = None
        """What the tables' triggers kept, in the same snapshot; where it was asked for."""


class AuditResult(msgspec.Struct):
    """What the witnesses say; `equal` names every table that was compared."""

    position: str
    equal: dict[str, bool]
    rows: dict[str, int]
    """Table → rows that the log says."""
    table_rows: dict[str, int]
    """Table → rows as stored; empty where the tables were not compared."""
    memory_rows: dict[str, int]
    """Table → rows in memory, at its own barrier; of windows fewer than in the log."""
    events: int
    """Events folded by this audit."""
    duplicates_in_log: int
    """Records that were in the log a second time: harmless, since they are skipped."""
    sources: list[str]
    memory_compared: bool
    findings: list[Finding]
    seconds: float
    tables_compared: bool = True
    unnamed: int = 0
    """Rows that disagree beyond those that are named."""
    parked: list[ParkedStream] = []
    """Streams whose rows are not what the log says, for a known reason, at the tables' position."""
    changed: dict[str, list[str]] = {}
    """Kind → what of this audit's code is not what the rows were made with."""
    continued_from: str = ""
    """Position up to which an earlier audit had folded the log; empty: this one read it whole."""
    duplicates_at: list[str] = []
    """Where the first of the duplicates are."""
    coverage: list[str] = []
    """What was looked at, and what was not."""
    state: str = "live"
    """The projection's: live, rebuilding or held."""
    voids: list[str] = []
    """Ids of the voids in force: what they take away was in no comparison."""

    @property
    def all_equal(self) -> bool:
        """Whether every witness that was asked agrees with the log, and nothing is parked."""
        return all(self.equal.values()) and not self.parked and not self.findings


class Audited(msgspec.Struct):
    """An audit's result with the sums behind it."""

    result: AuditResult
    marks: AuditMarks
