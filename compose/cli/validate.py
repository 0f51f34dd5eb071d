"""`memferry validate`: memory, the log, the tables or a file, on five levels."""

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Annotated, get_args

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import print_json
from compose.cli.progress import StatusLine, View
from compose.cli.project import tune_interpreter
from compose.extraction_file import file_source, kinds_named
from compose.report import html, junit, terminal
from projector.audit.report import Report
from projector.audit.validation import Source, SourceName
from projector.audit.validation import validate as run_validation
from schemas.domain import Domain
from schemas.errors import SettingsInvalid
from schemas.settings import Settings

_NAMES: tuple[SourceName, ...] = get_args(SourceName)
_Flag = Annotated[bool, Parameter(negative=())]


def validate(
    *,
    source: str = "",
    target: str = "",
    kind: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    threshold: float | None = None,
    isolation_forest: _Flag = False,
    timeout_s: float = 60.0,
    html_file: Annotated[Path | None, Parameter(name="--html")] = None,
    junit_file: Annotated[Path | None, Parameter(name="--junit")] = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Look at data on five levels, from syntax to statistics; exit with 1 where it is not sound.

    Everything goes on meanwhile. A file needs no server.

    Parameters
    ----------
    source
        memory, log, tables, or the name of an extraction file; the log and the tables, with what
        drifted between them, where neither source nor target is named.
    target
        A second source, looked at alike; what drifted between the two is said, too.
    kind
        Look at this kind only; several may be given. Of a CSV file, the kind that it holds.
    threshold
        Quality score that must be reached, of 100; without it, `audit.threshold`.
    isolation_forest
        Look for outliers in all numbers of a kind together; needs the extra `statistics`.
    timeout_s
        How long to wait for a running app's answer.
    html_file
        Write the report to this file as one page of HTML.
    junit_file
        Write the report to this file as JUnit XML.
    """
    if timeout_s <= 0:
        raise SettingsInvalid(
            f"{timeout_s:g} s is no time to wait", where="--timeout-s", remedy="give more than 0"
        )
    if threshold is not None and not 0 <= threshold <= 100:
        raise SettingsInvalid(
            f"{threshold:g} is no quality score", where="--threshold", remedy="give 0 to 100"
        )
    if not (source or target):
        source, target = "log", "tables"
    elif not source:
        raise SettingsInvalid(
            "a target is compared with a source", where="--target", remedy="name it with --source"
        )
    elif source == target:
        raise SettingsInvalid(
            f"source and target are both {source!r}", where="--target", remedy="name another one"
        )
    names = [name for name in (source, target) if name]
    files = [Path(name) for name in names if name not in _NAMES]
    in_files = len(files) == len(names)
    settings, domain = _known(common, files) if in_files else common.load()
    first, *further = [_source(name, domain, kind) for name in names]
    tune_interpreter()
    with StatusLine() as line:
        work = run_validation(
            settings, domain, first, *further, kinds=kind, threshold=threshold,
            isolation_forest=isolation_forest, timeout_s=timeout_s, keep=not in_files,
            told=lambda name, records: line.show(View(name, records, unit="records")),
        )  # fmt: skip
        report = asyncio.run(_once(work))
    if html_file is not None:
        html.write(report, html_file)
    if junit_file is not None:
        junit.write(report, junit_file)
    if common.json:
        print_json({"passed": report.passed, "report": report})
    else:
        terminal.show(report)
    return 0 if report.passed else 1


async def _once(work: Awaitable[Report]) -> Report:
    return await work


def _known(common: Common, files: list[Path]) -> tuple[Settings, Domain]:
    """Return the settings and every kind that files hold; no server is asked as a rule.

    But where a file names kinds that only the log knows: apps declared them there.
    """
    settings, domain = common.load_hand_written()
    known = {kind.name for kind in domain.kinds}
    met = {kind for path in files for kind in kinds_named(path)}
    return (settings, domain) if known and met <= known else common.load()


def _source(name: str, domain: Domain, kinds: tuple[str, ...]) -> Source:
    for known in _NAMES:
        if name == known:
            return known
    return file_source(Path(name), domain, kinds[0] if len(kinds) == 1 else "")
