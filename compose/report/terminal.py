"""A report on a terminal, 80 columns wide, in the order of the page."""

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from compose.report.words import (
    VETOES_SHOWN,
    count,
    how_many,
    level_name,
    of_what,
    reason,
    verdict,
    visible,
)
from projector.audit.report import LevelScore, Recommendation, Report, ReportFinding, TableEquality
from projector.audit.score import score_text

_WIDTH = 80
_FINDINGS = 20
_COVERAGE = 12
_DRIFTS = 12
_LABEL = 10
_BAR = 16
_VALUE_LENGTH = 320


def show(report: Report, console: Console | None = None) -> None:
    """Print a report; commands are not wrapped, so that they can be copied."""
    _Page(report, console or Console(highlight=False)).show()


class _Page:
    """A report on its way to a terminal."""

    def __init__(self, report: Report, console: Console) -> None:
        self._report = report
        self._out = console
        self._width = min(console.width, _WIDTH)

    def show(self) -> None:
        self._verdict()
        self._score()
        self._tables()
        self._coverage()
        self._findings()
        self._actions()
        self._drift()

    def _verdict(self) -> None:
        report = self._report
        colour, mark = ("bold green", "✔") if report.passed else ("bold red", "✘")
        self._line(Text(f"{mark} {verdict(report)}", colour))
        self._said(reason(report))
        at = f", at {report.position}" if report.position else ""
        self._said(f"projection {report.projection}: {report.source}{at}", "dim")
        self._said(f"{report.started_at:%Y-%m-%d %H:%M:%S} UTC, {report.seconds:.1f} s", "dim")
        vetoes = report.score.vetoes if report.score else []
        for veto in vetoes[:VETOES_SHOWN]:
            self._labelled("veto", veto, "red")
        self._more(len(vetoes) - VETOES_SHOWN, "veto", "vetoes")

    def _score(self) -> None:
        score = self._report.score
        if score is None or not score.levels:
            return
        self._heading(f"Score {score_text(score.total)}")
        table = self._grid("LEVEL", "score", "SOUND", "weight", "looked at", "broken", "rules")
        rules = {result.level: len(result.rules) for result in self._report.levels}
        for level in score.levels:
            table.add_row(
                level_name(level.level),
                score_text(level.score) if level.weight else "-",
                _bar(level),
                f"{level.weight:.1f}",
                f"{level.looked:,}{'' if level.sampled == 1 else '*'}",
                Text(f"{level.broken:,}", "bold red" if level.broken else ""),
                f"{rules[level.level]:,}" if level.level in rules else "",
                style="" if level.weight else "dim",
            )
        self._out.print(table, width=self._width)
        if any(level.sampled < 1 for level in score.levels):
            self._said("* a sample: see what was looked at", "dim")

    def _tables(self) -> None:
        if not self._report.tables:
            return
        self._heading("Equality")
        table = self._grid("TABLE", "in log", "in table", "in memory", "EQUAL")
        for one in self._report.tables:
            table.add_row(
                Text(visible(one.table)), f"{one.log_rows:,}", *_counts(one), _equal(one.equal)
            )
        self._out.print(table, width=self._width)

    def _coverage(self) -> None:
        said = self._report.coverage
        if not said:
            return
        self._heading("What was looked at")
        for line in said[:_COVERAGE]:
            self._said(line, hanging=2)
        self._more(len(said) - _COVERAGE, "line")

    def _findings(self) -> None:
        found = self._report.findings
        if not found:
            return
        self._heading(f"Findings: {len(found):,}")
        for number, finding in enumerate(found[:_FINDINGS]):
            if number:
                self._out.print()
            self._finding(finding)
        self._more(len(found) - _FINDINGS, "finding")

    def _finding(self, finding: ReportFinding) -> None:
        head = Text.assemble(
            ("veto " if finding.veto else "", "bold red"),
            (f"{visible(finding.where)}: ", "bold"),
            visible(finding.what),
        )
        for line in head.wrap(self._out, self._width):
            self._line(line)
        about = f"{level_name(finding.level)}, {finding.rule}: {how_many(finding)}"
        self._said(about, "dim")
        if finding.rows:
            more = finding.count - len(finding.rows)
            rows = "  ".join(_short(row) for row in finding.rows)
            self._labelled(of_what(finding), rows + (f"  and {more:,} more" if more > 0 else ""))
        if finding.observed:
            self._labelled("observed", _short(finding.observed))
        if finding.expected:
            self._labelled("expected", _short(finding.expected))
        if finding.next:
            self._command("next", finding.next)

    def _actions(self) -> None:
        actions = self._report.recommendations
        if not actions:
            return
        self._heading("What to do")
        for number, action in enumerate(actions, start=1):
            self._action(number, action)

    def _action(self, number: int, action: Recommendation) -> None:
        self._line(Text.assemble((f"{number}. ", "bold"), (visible(action.command), "bold cyan")))
        self._labelled("why", action.why)
        if action.position:
            self._labelled("position", action.position)
        self._labelled("changes", action.changes)

    def _drift(self) -> None:
        shown = self._report.distributions
        if not shown:
            return
        self._heading("Distributions of source and target")
        table = self._grid("FIELD", "KS", "PSI", "DRIFT")
        for column in (1, 2):
            table.columns[column].justify = "right"
        for one in sorted(shown, key=lambda one: -one.psi)[:_DRIFTS]:
            drift = Text("drifted", "bold red") if one.drifted else Text("no", "green")
            table.add_row(Text(visible(one.field)), f"{one.ks:.3f}", f"{one.psi:.3f}", drift)
        self._out.print(table, width=self._width)
        self._more(len(shown) - _DRIFTS, "field")

    def _heading(self, title: str) -> None:
        self._out.print()
        rule = Rule(Text(title, "bold"), align="left", style="dim")
        self._out.print(rule, width=self._width)

    def _grid(self, *headings: str) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold", width=None)
        for heading in headings:
            left = heading.isupper()
            table.add_column(
                heading, justify="left" if left else "right", no_wrap=not left, overflow="fold"
            )
        return table

    def _line(self, text: Text) -> None:
        self._out.print(text, soft_wrap=True)

    def _said(self, text: str, style: str = "", hanging: int = 0) -> None:
        first = Text("  ")
        for line in self._wrapped(text, 2 + hanging):
            self._line(Text.assemble(first, (line, style)))
            first = Text(" " * (2 + hanging))

    def _labelled(self, label: str, text: str, style: str = "") -> None:
        first = Text.assemble("  ", (f"{label:<{_LABEL}}", "dim"))
        for line in self._wrapped(text, 2 + _LABEL):
            self._line(Text.assemble(first, (line, style)))
            first = Text(" " * (2 + _LABEL))

    def _command(self, label: str, command: str) -> None:
        """Print on one line, however long."""
        text = Text.assemble("  ", (f"{label:<{_LABEL}}", "dim"), (visible(command), "cyan"))
        self._line(text)

    def _wrapped(self, text: str, indent: int) -> list[str]:
        lines = Text(visible(text)).wrap(self._out, self._width - indent)
        return [line.plain.rstrip() for line in lines]

    def _more(self, number: int, noun: str, plural: str = "") -> None:
        if number > 0:
            left = count(number, noun, plural).replace(" ", " more ", 1)
            self._said(f"and {left}: --json or --html has all", "dim")


def _counts(table: TableEquality) -> tuple[str, str]:
    rows = (table.table_rows, table.memory_rows)
    in_table, in_memory = ("not asked" if one is None else f"{one:,}" for one in rows)
    return in_table, in_memory


def _equal(equal: bool) -> Text:
    return Text("yes", "green") if equal else Text("NO", "bold red")


def _bar(level: LevelScore) -> Text:
    """Return how much is sound; full for nothing less than all."""
    if not level.weight:
        return Text("nothing seen", "dim")
    full = min(int(_BAR * level.score / 100), _BAR if level.score == 100 else _BAR - 1)
    colour = "green" if level.score == 100 else "yellow" if full else "red"
    return Text.assemble(("━" * full, colour), ("━" * (_BAR - full), "dim red"))


def _short(text: str) -> str:
    return text if len(text) <= _VALUE_LENGTH else f"{text[: _VALUE_LENGTH - 1]}…"
