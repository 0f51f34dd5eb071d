"""What the checker found, and how much it looked at."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

FindingKind = Literal["lost", "doubled", "reordered", "altered", "foreign"]
SHOWN_PER_KIND = 20


class Finding(NamedTuple):
    """One broken fact: what happened, where it stands, and what was expected and found."""

    kind: FindingKind
    where: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind:<9} {self.where}: {self.detail}"


@dataclass
class Counts:
    """How much was compared; a clean verdict over nothing proves nothing."""

    acknowledged: int = 0
    """Mutations in the journal."""
    baseline: int = 0
    """Entities that the journal says were in memory at attach."""
    torn: int = 0
    """Journal lines cut off by a kill, hence never acknowledged."""
    records: int = 0
    """Records read from the topic, of every sort."""
    in_log: int = 0
    """Distinct domain events, snapshots included, resends not."""
    snapshots: int = 0
    """Snapshot events among them that are not in the journal."""
    unacknowledged: int = 0
    """Other events among them that are not in the journal: recorded, then killed before the ack."""
    control: int = 0
    """Distinct events of memferry itself: barriers."""
    resends: int = 0
    """Records that repeat an event of their lane byte for byte."""
    folded: int = 0
    """Domain events below `until`, from which the expected rows were made."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows found, by table."""


@dataclass
class Verdict:
    """All findings and counts of one check."""

    findings: list[Finding]
    counts: Counts

    @property
    def clean(self) -> bool:
        """Say whether nothing was found."""
        return not self.findings

    def of(self, kind: FindingKind) -> list[Finding]:
        """Return the findings of one kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def __str__(self) -> str:
        kinds = Counter(finding.kind for finding in self.findings)
        summary = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        counts = self.counts
        rows = ", ".join(f"{table} {number}" for table, number in sorted(counts.rows.items()))
        lines = [
            "clean" if self.clean else f"NOT CLEAN: {summary}",
            f"  journal: {counts.acknowledged} acknowledged, {counts.baseline} baseline entities, "
            f"{counts.torn} torn lines",
            f"  log:     {counts.records} records: {counts.in_log} events "
            f"({counts.snapshots} snapshots, {counts.unacknowledged} unacknowledged), "
            f"{counts.control} control events, {counts.resends} resends; {counts.folded} folded",
            f"  tables:  {rows or 'none read'}",
        ]
        for kind, count in kinds.items():
            lines += [f"  {finding}" for finding in self.of(kind)[:SHOWN_PER_KIND]]
            if count > SHOWN_PER_KIND:
                lines.append(f"  {kind:<9} … and {count - SHOWN_PER_KIND} more")
        return "\n".join(lines)
