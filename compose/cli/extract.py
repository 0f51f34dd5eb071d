"""`memferry extract`: what apps hold, what looks wrong with it, and files of it."""

import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from compose.cli.app_object import load_app
from compose.cli.context import Common
from compose.cli.extract_output import show
from compose.cli.output import err, print_json
from eventlog.catalog import Catalog
from eventlog.extraction.held import held_by_app, held_by_shim
from eventlog.extraction.survey import Held, survey
from eventlog.extraction.writing import (
    Entry,
    new_header,
    require_writable,
    write_entries,
    write_extraction,
)
from eventlog.recorder import Recorder
from projector.extraction import extracted
from projector.migration.interface import ZeroDowntimeMigration
from schemas.domain import Domain
from schemas.extraction import STALE_AFTER_S, Selection
from schemas.requests import CatalogAnswer, StatisticsAnswer


def extract(
    *,
    app: str = "",
    kind: tuple[str, ...] = (),
    key: tuple[str, ...] = (),
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    statistics: Annotated[bool, Parameter(negative=())] = False,
    sample: int = 0,
    stale_after_s: float = STALE_AFTER_S,
    out: Path | None = None,
    force: Annotated[bool, Parameter(negative=())] = False,
    timeout_s: float = 10.0,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Show every container that apps hold, with its counts and memory; judge it; write it down.

    Without --app the running apps are asked. Statistics and warnings come with --statistics, and
    with whatever selects entities.

    Parameters
    ----------
    app
        MODULE:ATTRIBUTE of an app object, or of a shim, to import into this process instead.
    kind
        Only this kind; may be given several times, as may --key.
    key
        Only keys that match this pattern, as T-1*.
    since
        Only from this time on, by the kind's time field; in UTC where it names no zone.
    until
        Only before this time.
    statistics
        Count each field: missing, distinct, least, most, mean; and say what looks wrong.
    sample
        Show this many entities of each kind.
    stale_after_s
        How far behind a time may be before it is called stale.
    out
        Write the selected entities to this file, NAME.jsonl or NAME.csv, compressed with .gz
        behind.
    force
        Write over a file that is there.
    timeout_s
        How long an app may say nothing.
    """
    selection = Selection(
        kinds=kind, keys=key, since=_utc(since), until=_utc(until), sample=max(0, sample),
        stale_after_s=stale_after_s,
    )  # fmt: skip
    judged = statistics or selection != Selection(stale_after_s=stale_after_s)
    found: list[StatisticsAnswer] = []
    if app:
        domain, held, described, position = _of_object(load_app(app), common)
        answers = [described]
        if out is not None:
            counts = write_extraction(
                out, held, domain, source=described.source, position=position, selection=selection,
                force=force,
            )  # fmt: skip
            _say_written(out, counts)
        elif judged:
            now = datetime.datetime.now(datetime.UTC)
            found = [StatisticsAnswer(described.source, survey(held, selection, now))]
    else:
        settings, domain = common.load()
        migration = ZeroDowntimeMigration(settings, domain)
        answers = migration.extract(timeout_s)
        if out is not None:
            held_kinds = {store.kind for answer in answers for store in answer.stores}
            kinds = [k for k in domain.kinds if k.name in (selection.kinds or held_kinds)]
            require_writable(out, [one.name for one in kinds], force=force)
            with extracted(settings, migration.projection, selection, timeout_s) as (told, lines):
                source = ", ".join(one.source for one in told)
                position = told[0].position if len(told) == 1 else None
                header = new_header(source, domain.name, position, [one.name for one in kinds])
                entries = (Entry(*line) for line in lines)
                _say_written(out, write_entries(out, entries, kinds, header, force=force))
        elif judged:
            found = migration.statistics(selection, timeout_s)
    if common.json:
        print_json(_document(answers, found))
    else:
        show(answers, found)
    return 0


def _say_written(path: Path, counts: dict[str, int]) -> None:
    err.print(f"{path}: {sum(counts.values()):,} entities written", markup=False, soft_wrap=True)


def _of_object(
    given: object, common: Common
) -> tuple[Domain, list[Held], CatalogAnswer, int | None]:
    if isinstance(given, Catalog):
        position = given.recorded_position() if isinstance(given, Recorder) else None
        return given.domain, held_by_shim(given), given.describe(), position
    _, domain = common.load_hand_written()
    holds = held_by_app(given, domain)
    return domain, holds.held, holds.describe(domain), None


def _document(answers: list[CatalogAnswer], found: list[StatisticsAnswer]) -> list[object]:
    """Return the answers as before, each with its statistics where they were asked for."""
    by_source = {one.source: one.kinds for one in found}
    return [
        msgspec.structs.asdict(answer) | {"statistics": by_source[answer.source]}
        if answer.source in by_source
        else answer
        for answer in answers
    ]


def _utc(at: datetime.datetime | None) -> datetime.datetime | None:
    return at.replace(tzinfo=datetime.UTC) if at is not None and at.tzinfo is None else at
