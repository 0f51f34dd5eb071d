"""`memferry audit bisect`: from a row that differs to the event after which it does."""

import asyncio
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from compose.report.words import visible
from projector.audit.bisect import Bisection
from projector.audit.bisect import bisect as bisect_row
from projector.audit.judgement import Judgement, Step
from projector.audit.run import audit as run_audit
from schemas.domain import Domain
from schemas.errors import SettingsInvalid
from schemas.settings import Settings

_STEPS_SHOWN = 12
_COLUMNS_SHOWN = 4
_VALUE_LENGTH = 32
_Flag = Annotated[bool, Parameter(negative=())]


def bisect(
    *,
    table: str | None = None,
    key: str | None = None,
    partition: int | None = None,
    with_memory: _Flag = False,
    most: int = 5,
    timeout_s: float = 60.0,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Find the first event after which the log and a row as it is held differ; exit with 1 then.

    Nothing is changed. Without --table and --key an audit is made, and its first findings are
    looked into.

    Parameters
    ----------
    table
        The row's table, as findings name it.
    key
        The row's key, as findings write it: values joined by /.
    partition
        Where to look for the row's events, where its key does not tell; without it, in all.
    with_memory
        Ask the running app, too, what its memory holds.
    most
        Of an audit's findings, how many to look into.
    timeout_s
        How long to wait for Kafka, and for the app's answer.
    """
    if (table is None) != (key is None):
        raise SettingsInvalid(
            "a row is named by its table and its key", where="--table, --key",
            remedy="give both, or neither to look into the findings of an audit",
        )  # fmt: skip
    if most < 1:
        raise SettingsInvalid("nothing would be looked into", where="--most", remedy="give 1")
    settings, domain = common.load()

    async def look(one_table: str, one_key: str) -> Bisection:
        return await bisect_row(
            settings, domain, one_table, one_key,
            partition=partition, with_memory=with_memory, timeout_s=timeout_s,
        )  # fmt: skip

    async def look_at_all() -> list[Bisection]:
        rows = (
            [(table, key)]
            if table is not None and key is not None
            else await _findings(settings, domain, with_memory, timeout_s, most)
        )
        return [await look(*row) for row in rows]

    found = asyncio.run(look_at_all())
    if common.json:
        print_json(found)
    elif not found:
        out.print("the audit names no row that differs")
    else:
        for one in found:
            show(one)
    return 0 if all(one.agrees for one in found) else 1


async def _findings(
    settings: Settings, domain: Domain, with_memory: bool, timeout_s: float, most: int
) -> list[tuple[str, str]]:
    result = await run_audit(settings, domain, with_memory=with_memory, timeout_s=timeout_s)
    rows = [(f.table, f.key) for f in result.findings if f.table in domain.tables]
    return list(dict.fromkeys(rows))[:most]


def show(found: Bisection) -> None:
    """Print what became of one row."""
    stream = f", stream {found.stream}" if found.stream else ""
    out.print(
        Text(visible(f"table {found.table}, key {found.key}{stream}, at {found.position}"), "bold"),
        soft_wrap=True,
    )
    _say("tables", found.tables)
    if found.memory is not None:
        _say("memory", found.memory)
    if found.parked:
        out.print(Text(visible(f"parked: {found.parked}"), "yellow"), soft_wrap=True)
    for note in found.notes:
        out.print(Text(visible(note), "dim"), soft_wrap=True)
    differing = [c.column for j in (found.tables, found.memory) if j for c in j.columns]
    columns = list(dict.fromkeys(differing))[:_COLUMNS_SHOWN]
    if found.steps:
        _show_steps(found, columns)
    out.print()


def _say(witness: str, judgement: Judgement) -> None:
    sound = judgement.verdict in {"equal", "absent"}
    style = "green" if sound else "bold red"
    out.print(
        Text.assemble((f"{witness}: {judgement.verdict}", style), f": {visible(judgement.says)}"),
        soft_wrap=True,
    )
    for column in judgement.columns:
        agreed = (
            f"the log had that value last after {column.agreed_after}"
            if column.agreed_after is not None
            else "the log never had that value"
        )
        since = "" if column.differs_since is None else f"; another since {column.differs_since}"
        out.print(
            Text(
                visible(
                    f"  {column.column} is {column.held}, the log says {column.expected}: "
                    f"{agreed}{since}"
                )
            ),
            soft_wrap=True,
        )
    if judgement.event is not None:
        event = judgement.event
        out.print(
            Text(
                visible(
                    f"  first event after which they differ: {event.type}, partition "
                    f"{event.partition}, offset {event.offset}, {event.time}, seq {event.seq} of "
                    f"{event.source}, id {event.id}"
                )
            ),
            soft_wrap=True,
        )


def _show_steps(found: Bisection, columns: list[str]) -> None:
    places = [found.columns.index(column) for column in columns]
    table = grid("EVENT", "partition", "offset", *[column.upper() for column in columns], "")
    left = len(found.steps) - _STEPS_SHOWN
    shown = found.steps if left <= 0 else found.steps[-_STEPS_SHOWN:]
    if left > 0:
        table.add_row(Text(f"({left:,} earlier events: --json names all)", "dim"))
    for step in shown:
        event = step.event
        table.add_row(
            Text(visible(event.type)), str(event.partition), str(event.offset),
            *_values(step.texts, places), Text(visible(_remark(step, found)), "yellow"),
        )  # fmt: skip
    held = None if found.held is None else tuple(found.held)
    table.add_row(Text("as stored", "bold"), "", "", *_values(held, places), "")
    if found.memory is not None:
        kept = None if found.in_memory is None else tuple(found.in_memory)
        table.add_row(Text("in memory", "bold"), "", "", *_values(kept, places), "")
    out.print(table)


def _values(texts: tuple[str, ...] | None, places: list[int]) -> list[Text]:
    if texts is None:
        return [Text("no row", "dim") for _ in places]
    values = [visible(texts[place]) for place in places]
    return [Text(v if len(v) <= _VALUE_LENGTH else v[: _VALUE_LENGTH - 1] + "…") for v in values]


def _remark(step: Step, found: Bisection) -> str:
    if step.refused:
        return f"changed nothing: {step.refused}"
    if step.event == found.tables.event:
        return "<- here"
    return "" if step.texts is not None else "no row"
