"""What the demo proved, for people and as build/demo/summary.json."""

from pathlib import Path

import msgspec
from rich.console import Console

from compose.cli.output import grid


class AuditSummary(msgspec.Struct):
    """The last audit: whether memory, log and tables agree, table by table."""

    equal: dict[str, bool]
    rows: dict[str, int]
    memory_rows: dict[str, int]
    findings: list[str]


class RollbackSummary(msgspec.Struct):
    """The replay to the savepoint: whether the tables equal the pure fold of the log to there."""

    equal_to_fold: bool
    position: str
    rows: dict[str, int]


class Summary(msgspec.Struct):
    """Every figure of a run; throughput is events committed a second while everything ran."""

    events_recorded: int
    events_applied: int
    events_lost: int
    events_duplicated: int
    resends_skipped: int
    throughput_events_per_s: float
    replay_events_per_s: float
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
        )


def write(summary: Summary, path: Path) -> None:
    """Write the summary as JSON."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(summary)) + b"\n")


def show(summary: Summary, console: Console, path: Path) -> None:
    """Print the summary for a terminal of 80 columns."""
    table = grid("TABLE", "rows", "in memory", "at savepoint", "MEMORY = LOG = TABLE")
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
    kills = ", ".join(f"{name} {count} time(s)" for name, count in summary.kills.items())
    memory = ", ".join(f"{name} {mb:.0f}" for name, mb in summary.peak_rss_mb.items())
    lines = [
        ("recorded", f"{summary.events_recorded:,} events"),
        ("applied", f"{summary.events_applied:,} events"),
        ("lost", f"{summary.events_lost}"),
        ("duplicated", f"{summary.events_duplicated} ({summary.resends_skipped} resends skipped)"),
        ("killed -9", kills),
        ("throughput", f"{summary.throughput_events_per_s:,.0f} events/s while trading"),
        ("replay", f"{summary.replay_events_per_s:,.0f} events/s"),
        ("rollback", "equals the fold" if summary.rollback.equal_to_fold else "DIFFERS"),
        ("peak MB", memory),
        ("took", f"{summary.seconds:.0f} s"),
    ]
    for name, text in lines:
        console.print(f"{name:>11}  {text}", highlight=False, soft_wrap=True)

    for finding in summary.audit.findings[:10]:
        console.print(f"  {finding}", markup=False)
    if summary.proved:
        console.print("\n[bold green]proved[/]: nothing lost, nothing doubled, all tables equal")
    else:
        console.print("\n[bold red]NOT PROVED[/]: see the figures above")
    console.print(f"summary: {path}", soft_wrap=True)
