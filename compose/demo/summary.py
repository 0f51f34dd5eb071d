"""What the demo proved, for people and as build/demo/summary.json."""

from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from compose.cli.output import grid


class AuditSummary(msgspec.Struct):
    """The last audit: whether memory, log and tables agree, table by table."""

    equal: dict[str, bool]
    rows: dict[str, int]
    memory_rows: dict[str, int]
    findings: list[str]

    @classmethod
    def of(cls, document: Any) -> "AuditSummary":
        """Return what counts of `memferry audit --json`."""
        findings = [
            f"{f['witness']}: {f['table']} {f['key']} {f['problem']}" for f in document["findings"]
        ]
        return cls(document["equal"], document["rows"], document["memory_rows"], findings)


class RollbackSummary(msgspec.Struct):
    """The look back to the savepoint: whether the tables equal the fold of the log to there."""

    equal_to_fold: bool
    position: str
    set_aside: int
    rows_before: dict[str, int]
    rows: dict[str, int]


class SwitchedBack(msgspec.Struct):
    """The way back: whether memory, which reads returned to, equals log and tables."""

    equal: bool
    epoch: int


class Summary(msgspec.Struct, kw_only=True):
    """Every figure of a run; throughput is events committed a second before the migration."""

    events_recorded: int
    events_applied: int
    events_lost: int
    events_duplicated: int
    resends_skipped: int
    cutover_pause_ms: float
    """For how long the app held mutations, by its own clock."""
    switch_back_pause_ms: float
    client_longest_wait_ms: float
    """The longest that an order over HTTP took during the migration, by the client's own clock."""
    switched_back: SwitchedBack
    phases: dict[str, float]
    """Seconds in each."""
    client_orders: int
    client_reads: dict[str, int]
    """Each order read back, by the route that answered."""
    client_errors: list[str]
    throughput_events_per_s: float = 0.0
    resume_events_per_s: float = 0.0
    audits_equal: list[bool]
    audit: AuditSummary
    rollback: RollbackSummary
    peak_rss_mb: dict[str, float]
    kills: dict[str, int]
    seconds: float

    @property
    def proved(self) -> bool:
        """Whether every proof held."""
        return (
            self.events_lost == 0
            and self.events_duplicated == 0
            and self.events_recorded == self.events_applied > 0
            and all(self.audits_equal)
            and all(self.audit.equal.values())
            and self.rollback.equal_to_fold
            and self.switched_back.equal
            and not self.client_errors
            and self.client_reads.get("postgres", 0) > 0
            and self.client_reads.get("memory", 0) > 0
        )


def write(summary: Summary, path: Path) -> None:
    """Write the summary as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")


def show(summary: Summary, console: Console, directory: Path) -> None:
    """Print the summary for a terminal of 80 columns."""
    table = grid("TABLE", "rows", "in memory", "looked back", "MEMORY = LOG = TABLE")
    for name, equal in summary.audit.equal.items():
        table.add_row(
            name,
            f"{summary.audit.rows[name]:,}",
            f"{summary.audit.memory_rows.get(name, 0):,}",
            f"{summary.rollback.rows.get(name, 0):,}",
            "[green]yes[/]" if equal else "[bold red]NO[/]",
        )
    console.print()
    console.print(table)
    console.print()
    for name, text in _lines(summary):
        console.print(f"{name:>11}  {text}", highlight=False, soft_wrap=True)
    for finding in (*summary.audit.findings[:10], *summary.client_errors[:10]):
        console.print(f"  {finding}", markup=False)
    if summary.proved:
        console.print("\n[bold green]proved[/]: nothing lost, nothing doubled, all tables equal")
    else:
        console.print("\n[bold red]NOT PROVED[/]: see the figures above")
    console.print(f"summary: {directory / 'summary.json'}", soft_wrap=True)
    console.print(f"page:    {directory / 'report.html'}", soft_wrap=True)


def _lines(summary: Summary) -> list[tuple[str, str]]:
    reads = ", ".join(f"{count:,} from {route}" for route, count in summary.client_reads.items())
    kills = ", ".join(f"{name} {count} time(s)" for name, count in summary.kills.items())
    memory = [f"{name} {mb:.0f}" for name, mb in summary.peak_rss_mb.items()]
    parts = len(summary.kills) + 1  # the app, and the two that are killed
    return [
        ("recorded", f"{summary.events_recorded:,} events"),
        ("applied", f"{summary.events_applied:,} events"),
        ("lost", f"{summary.events_lost}"),
        ("duplicated", f"{summary.events_duplicated} ({summary.resends_skipped} resends skipped)"),
        ("killed -9", kills),
        ("cutover", f"writers stood still for {summary.cutover_pause_ms:.1f} ms"),
        ("switch back", f"{summary.switch_back_pause_ms:.1f} ms, then "
                        f"{'all equal' if summary.switched_back.equal else 'DIFFERENT'}"),
        ("client", f"{summary.client_orders:,} orders, {len(summary.client_errors)} errors"),
        ("read back", reads),
        ("throughput", f"{summary.throughput_events_per_s:,.0f} events/s while trading"),
        ("rollback", "equals the fold" if summary.rollback.equal_to_fold else "DIFFERS"),
        ("peak MB", ", ".join(memory[:parts])),
        ("commands", ", ".join(memory[parts:])),
        ("took", f"{summary.seconds:.0f} s"),
    ]  # fmt: skip
