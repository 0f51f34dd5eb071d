"""`memferry audit history`: what audits and validations came to, and where that goes."""

import datetime
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from compose.report import terminal
from compose.report.words import visible
from projector.audit.history import KeptAudit, kept_audits, kept_report
from projector.audit.trend import arrow, series_of, sparkline
from projector.control_tables import connect
from schemas.errors import SettingsInvalid

_SHOWN = 20
_REPORTED = {"clean", "findings"}
_STYLES = {"clean": "green", "findings": "bold red", "error": "red", "interrupted": "yellow"}


def history(
    *,
    limit: int = _SHOWN,
    id_: Annotated[str | None, Parameter(name="--id")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Show kept audits and validations, the newest first, with the way their figures went.

    Parameters
    ----------
    limit
        The most that are shown.
    id_
        Show the report of this one again; the beginning of its id is enough.
    """
    if limit < 1:
        raise SettingsInvalid("nothing would be shown", where="--limit", remedy="give 1 or more")
    settings, domain = common.load_hand_written()
    projection = settings.projection or domain.name
    with connect(settings, "audit history") as conn:
        if id_ is not None:
            report = kept_report(conn, projection, id_)
            if common.json:
                print_json(report)
            else:
                terminal.show(report)
            return 0
        found = kept_audits(conn, projection, limit)
    if common.json:
        print_json(found)
    elif not found:
        out.print("nothing is kept yet: `memferry audit` begins it")
    else:
        _show(found)
    return 0


def _show(found: Sequence[KeptAudit]) -> None:
    table = grid("BEGUN, UTC", "KIND", "VERDICT", "findings", "score", "seconds", "rows", "ID")
    for number, one in enumerate(found):
        before = _before(found, number)
        table.add_row(
            f"{one.started_at.astimezone(datetime.UTC):%Y-%m-%d %H:%M:%S}",
            one.kind,
            Text(one.verdict or "under way", _STYLES.get(one.verdict or "", "")),
            _figure(one, before, "findings", ",.0f"),
            _figure(one, before, "score", ".1f"),
            _figure(one, before, "seconds", ".1f"),
            _figure(one, before, "rows", ",.0f"),
            one.id[:8],
        )
    out.print(table)
    for kind in ("audit", "validation"):
        for series in series_of([one for one in found if one.kind == kind]):
            if len(series.values) > 1:
                ends = f"{series.values[0]:g} to {series.values[-1]:g} {series.unit}"
                bars = sparkline(series.values)
                out.print(f"{kind} {series.name:<8} {bars}  {ends}", soft_wrap=True)
    for one in found:
        if one.error:
            line = (
                f"{one.id[:8]} {one.verdict}: {visible(one.error.splitlines()[0])} ({one.holder})"
            )
            out.print(Text(line), soft_wrap=True)
    out.print("next: `memferry audit history --id ID` shows a report again")


def _before(found: Sequence[KeptAudit], number: int) -> KeptAudit | None:
    """Return the one of its kind that came to a report before it."""
    kind = found[number].kind
    older = (one for one in found[number + 1 :] if one.kind == kind)
    return next((one for one in older if one.verdict in _REPORTED), None)


def _figure(one: KeptAudit, before: KeptAudit | None, name: str, form: str) -> str:
    """Return a figure with the direction in which it went since the one before."""
    value = getattr(one, name)
    if one.verdict not in _REPORTED or value is None:
        return "-"
    direction = "" if before is None else arrow(value, getattr(before, name))
    return f"{value:{form}} {direction or ' '}"
