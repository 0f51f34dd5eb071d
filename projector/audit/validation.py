"""The five levels over one source of records, or over two and what drifted between them."""

import asyncio
import datetime
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from projector.audit.kept import kept
from projector.audit.levels.business import BusinessLevel
from projector.audit.levels.cross_reference import CrossReferenceLevel
from projector.audit.levels.level import Level, LevelResult
from projector.audit.levels.semantic import SemanticLevel
from projector.audit.levels.statistical import StatisticalLevel, drift
from projector.audit.levels.syntax import SyntaxLevel
from projector.audit.records.log import read_log
from projector.audit.records.memory import read_memory
from projector.audit.records.record import Add, Record
from projector.audit.records.tables import read_tables
from projector.audit.report import Distribution, Report
from projector.audit.validation_report import report_of_validation
from schemas.domain import Domain
from schemas.settings import Settings

SourceName: TypeAlias = Literal["memory", "log", "tables"]
Told: TypeAlias = Callable[[str, int], object]
_TELL_EVERY = 5_000
_LOOKS_MOST = 2
"""Further looks at a source of which kinds do not fit each other."""
_SETTLED_AFTER_S = 1.0


class File(NamedTuple):
    """A file to be validated: its name, and what gives its records and returns a place in it."""

    name: str
    read: Callable[[Add], str]


Source: TypeAlias = SourceName | File


class _Read(NamedTuple):
    name: str
    position: str
    statistical: StatisticalLevel
    results: list[LevelResult]


async def validate(
    settings: Settings,
    domain: Domain,
    source: Source,
    target: Source | None = None,
    *,
    kinds: Sequence[str] = (),
    threshold: float | None = None,
    isolation_forest: bool = False,
    timeout_s: float = 60.0,
    told: Told = lambda source, records: None,
    keep: bool = False,
) -> Report:
    """Return what the five levels say of a source, and of a target alike.

    `kinds`: only these; all where none is named. `told` hears now and then how many records of
    which source were looked at. `keep`: the history keeps the report.
    Raises: the errors of reaching Kafka, PostgreSQL, or an app.
    """
    began, started_at = time.monotonic(), datetime.datetime.now(datetime.UTC)
    projection = settings.projection or domain.name
    for name in kinds:
        domain.kind(name)
    with kept(settings, projection, "validation") if keep else nullcontext() as keeping:
        reads = [
            await _validate_one(
                settings, domain, one, set(kinds), isolation_forest, timeout_s, told
            )
            for one in (source, target)
            if one is not None
        ]
        distributions = _drift(*reads) if len(reads) > 1 else []
        report = report_of_validation(
            {read.name: read.results for read in reads},
            projection=projection,
            position=" and ".join(dict.fromkeys(read.position for read in reads)),
            started_at=started_at,
            seconds=time.monotonic() - began,
            threshold=settings.audit.threshold if threshold is None else threshold,
            distributions=distributions,
            series=[one for read in reads for one in read.statistical.series()],
        )
        if keeping is not None:
            keeping.ended(report)
    return report


def _drift(first: _Read, second: _Read) -> list[Distribution]:
    """Return how far values drifted from one to the other; what drifted is the second's breach."""
    distributions, drifted = drift(first.statistical, second.statistical)
    last = second.results[-1]
    second.results[-1] = msgspec.structs.replace(last, breaches=[*last.breaches, *drifted])
    return distributions


async def _validate_one(  # noqa: PLR0917
    settings: Settings,
    domain: Domain,
    source: Source,
    kinds: set[str],
    isolation_forest: bool,
    timeout_s: float,
    told: Told,
) -> _Read:
    name = source.name if isinstance(source, File) else source
    statistical = StatisticalLevel(domain, isolation_forest=isolation_forest)
    # These two hold kinds against each other: they see all, whichever are asked for.
    business, references = BusinessLevel(domain), CrossReferenceLevel(domain)
    levels: list[Level] = [
        SyntaxLevel(domain), SemanticLevel(domain), business, references, statistical,
    ]  # fmt: skip
    looks = [level.add for level in levels]
    looks_at_all = [business.add, references.add]
    count = 0

    def add(record: Record) -> None:
        nonlocal count
        asked = not kinds or record.kind is None or record.kind.name in kinds
        for look in looks if asked else looks_at_all:
            look(record)
        count += 1
        if count % _TELL_EVERY == 0:
            told(name, count)

    position = await _read(settings, domain, source, add, timeout_s)
    told(name, count)
    results = await asyncio.to_thread(lambda: [level.finish() for level in levels])
    if not isinstance(source, File):
        again = await _look_again(
            settings, domain, source, timeout_s, business=business, references=references
        )
        results = [next((a for a in again if a.level == one.level), one) for one in results]
    if kinds:
        results = [_of_kinds(result, kinds) for result in results]
    return _Read(name, position, statistical, results)


async def _look_again(
    settings: Settings,
    domain: Domain,
    source: SourceName,
    timeout_s: float,
    *,
    business: BusinessLevel,
    references: CrossReferenceLevel,
) -> list[LevelResult]:
    """Return what these levels find again of what they found; nothing where they found nothing.

    Nothing is cut at one moment in all partitions while an app goes on: the trade that an execution
    names may be behind the cut. What is really lost is so a second later.
    """
    again: list[LevelResult] = []
    for _ in range(_LOOKS_MOST):
        if not (business.suspects or references.suspects):
            break
        await asyncio.sleep(_SETTLED_AFTER_S)
        business = BusinessLevel(domain, business.suspects)
        references = CrossReferenceLevel(domain, references.suspects)
        levels: list[Level] = [business, references]

        def add(record: Record, levels: list[Level] = levels) -> None:
            for level in levels:
                level.add(record)

        await _read(settings, domain, source, add, timeout_s)
        again = [level.finish() for level in levels]
    return again


def _of_kinds(result: LevelResult, kinds: set[str]) -> LevelResult:
    """Return what a level found in some kinds, and of no kind that can be told."""
    kept = [one for one in result.breaches if not one.kind or kinds & set(one.kind.split(", "))]
    broken = min(result.broken, sum(breach.count for breach in kept))
    return msgspec.structs.replace(result, breaches=kept, broken=broken)


def _read(
    settings: Settings, domain: Domain, source: Source, add: Add, timeout_s: float
) -> Awaitable[str]:
    if isinstance(source, File):
        return asyncio.to_thread(source.read, add)
    if source == "log":
        return read_log(settings, domain, add)
    if source == "tables":
        return asyncio.to_thread(read_tables, settings, domain, add)
    return asyncio.to_thread(read_memory, settings, domain, add, timeout_s)
