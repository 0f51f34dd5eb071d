"""What a replay, rollback or void would do, on a terminal; and the question whether it may."""

import asyncio
import sys
from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from compose.cli.output import err, print_json
from compose.report.words import count, visible
from projector.progress import Progress
from projector.replay.difference import RowSample, TableDifference
from projector.replay.discarded import Discarded
from projector.replay.plan import Plan
from projector.replay.planning import make_plan
from projector.replay.target import Target
from projector.replay.units import SplitUnit
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings

_WIDTH = 80
_LABEL = 12
_NAMED = 8
_SPLITS = 5
_VALUE_MOST = 60
_MARKS = {"inserted": ("+", "green"), "changed": ("~", "yellow"), "deleted": ("-", "red")}


class NotConfirmed(FerryError):
    """Nobody said that it may be done."""


def planned(
    settings: Settings,
    domain: Domain,
    target: Target,
    *,
    rows: bool = False,
    streams: Sequence[str] = (),
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Plan:
    """Return what going to a target would do, as `make_plan` finds it."""
    return asyncio.run(
        make_plan(settings, domain, target, rows=rows, streams=streams, on_progress=on_progress)
    )


def confirm(plan: Plan) -> None:
    """Return once somebody has agreed to what a plan sets aside.

    Raises: NotConfirmed where nobody does, or nobody can be asked.
    """
    what = f"{_sets_aside(plan)}: {plan.target} of projection {plan.projection}"
    if not sys.stdin.isatty():
        raise NotConfirmed(
            f"this {what}; there is no terminal to ask on",
            where=f"position {plan.position}",
            remedy="look at it with --dry-run; then give --yes",
        )
    show_plan(plan, console=err)
    err.print(Text(f"This {_sets_aside(plan)}. Go on? [y/N] "), end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise NotConfirmed(
            "nothing was changed: it was not agreed to",
            where=f"position {plan.position}",
            remedy="run it again and answer y, or give --yes",
        )


def show_plan(plan: Plan, *, as_json: bool = False, console: Console | None = None) -> None:
    """Print a plan, 80 columns wide, or as one JSON document."""
    if as_json:
        print_json(plan)
    else:
        _Page(plan, console or Console(highlight=False)).show()


def _sets_aside(plan: Plan) -> str:
    said = f"sets {count(plan.events, 'event')} aside"
    if plan.only_streams:
        said += f" of {count(len(plan.only_streams), 'stream')}"
    return said


class _Page:
    """A plan on its way to a terminal."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._out = console
        self._width = min(console.width, _WIDTH)

    def show(self) -> None:
        plan = self._plan
        self._said("target", plan.target)
        self._said("position", plan.position)
        self._said("tables at", plan.before)
        self._events(plan.discarded)
        for one in plan.discarded.splits[:_SPLITS]:
            self._said("split unit", _split(one), "yellow")
        self._more("split unit", plan.discarded.split_units - _SPLITS)
        if plan.tables is not None:
            self._tables(plan.tables)

    def _events(self, found: Discarded) -> None:
        self._said("set aside", f"{count(found.events, 'event')}{_beside(found)}", "bold")
        if found.first_at is not None and found.last_at is not None:
            self._said("recorded", f"{_time(found.first_at)} to {_time(found.last_at)}")
        if found.kinds:
            table = self._grid("KIND", "EVENT TYPE", "events")
            for one in found.kinds:
                table.add_row(visible(one.kind) or "-", visible(one.type), f"{one.events:,}")
            self._out.print(table, width=self._width)
        if found.sources:
            said = ", ".join(f"{visible(s)} {n:,}" for s, n in found.sources.items())
            self._said("by source", said)
        if found.streams:
            self._said("streams", _names(found.stream_names, found.streams))
        if found.snapshot_first:
            self._said(
                "first there",
                f"{_names(found.snapshot_first_names, found.snapshot_first)}: begin with their "
                "first snapshot; what they were before is in no log, and a void is refused",
                "yellow",
            )
        parked = found.parked
        if parked.events:
            events = count(parked.events, "event")
            self._said("parked", f"{events} of {_names(parked.named, parked.streams)}")
        if parked.stay:
            self._said("stay parked", count(parked.stay, "stream"))

    def _tables(self, tables: list[TableDifference]) -> None:
        table = self._grid("TABLE", "inserted", "changed", "deleted")
        for one in tables:
            counts = (one.inserted, one.changed, one.deleted)
            table.add_row(
                visible(one.table), *(f"{n:,}" for n in counts), style="" if any(counts) else "dim"
            )
        self._out.print(table, width=self._width)
        for one in tables:
            if one.unlike_columns:
                self._said("not compared", f"{one.table}: {', '.join(one.unlike_columns)}")
            for sample in one.samples:
                self._sample(one.table, sample)

    def _sample(self, table: str, sample: RowSample) -> None:
        mark, colour = _MARKS[sample.change]
        self._line(Text(f"{mark} {visible(table)} {visible('/'.join(sample.key))}", colour))
        if sample.change == "changed":
            for column, was in sample.before.items():
                self._line(Text(f"    {column}: {_value(was)} → {_value(sample.after[column])}"))
            return
        row = sample.after or sample.before
        self._line(Text("    " + ", ".join(f"{c}={_value(v)}" for c, v in row.items()), "dim"))

    def _grid(self, *headings: str) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in headings:
            right = heading.islower()
            table.add_column(
                heading, justify="right" if right else "left", no_wrap=right, overflow="fold"
            )
        return table

    def _said(self, label: str, said: str, style: str = "") -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=_LABEL)
        grid.add_column(overflow="fold")
        grid.add_row(Text(label, "dim"), Text(visible(said), style))
        self._out.print(grid, width=self._width)

    def _more(self, label: str, more: int) -> None:
        if more > 0:
            self._said(label, f"and {count(more, label)} more", "dim")

    def _line(self, text: Text) -> None:
        self._out.print(text, width=self._width, overflow="fold")


def _beside(found: Discarded) -> str:
    """Say what else Kafka holds there."""
    others = {
        "void already": found.void, "sent twice": found.duplicates, "unreadable": found.unreadable
    }  # fmt: skip
    said = [f"{number:,} {what}" for what, number in others.items() if number]
    return f" of {count(found.records, 'record')}" + (f" ({', '.join(said)})" if said else "")


def _split(one: SplitUnit) -> str:
    def places(number: int, named: list[str]) -> str:
        more = number - len(named)
        return ", ".join(named) + (f" and {more:,} more" if more else "")

    return (
        f"{one.unit}: kept {places(one.kept, one.kept_at)}; "
        f"set aside {places(one.set_aside, one.set_aside_at)}"
    )


def _names(names: list[str], number: int) -> str:
    shown = names[:_NAMED]
    more = number - len(shown)
    return f"{number:,}: " + ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:23]} UTC"


def _value(text: str | None) -> str:
    if text is None:
        return "null"
    shown = visible(text)
    return shown if len(shown) <= _VALUE_MOST else shown[: _VALUE_MOST - 1] + "…"
