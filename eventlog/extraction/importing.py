"""Extraction files recorded: each entity's state-carrying event goes into the source's outbox.

The file is judged first, as a whole. A stream is recorded in one transaction, so that after
kill -9 each is in the outbox whole or not at all, and the next run goes on with those that are not.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from eventlog.extraction.reading import FileInvalid, Problem, Reader
from eventlog.extraction.staging import Staging
from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.opening import open_reader
from eventlog.shim import Ferry, attach
from eventlog.stores import FactStore
from eventlog.voids import read_own_voids
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Postgres, Settings

PROBLEMS = 20
"""Wrong lines that are told of, at most."""
_CHUNK_ROWS = 10_000
_CLOSE_S = 60.0


class StreamsForgotten(FerryError):
    """The outbox does not say any more which streams it held."""


class Imported(msgspec.Struct, frozen=True):
    """What an import recorded, or would record."""

    entities: dict[str, int]
    """In the file, by kind."""
    recorded: int
    """Streams."""
    known: int
    """Streams of the file that the outbox held already: these are left as the log has them."""


def import_file(
    settings: Settings, domain: Domain, path: str | Path, *, kind: str = "", dry_run: bool = False
) -> Imported:
    """Record what a file holds, for an app that does not run; `kind` names that of a CSV file.

    A dry run judges the file alone and needs no Kafka.
    Raises: FileInvalid listing what is wrong, with nothing recorded; OutboxInUse where the app
            runs; the errors of `eventlog.attach`.
    """
    reader = Reader(Path(path), domain, kind)
    with Staging(domain) as staging:
        _judge(reader, staging)
        if dry_run:
            if settings.outbox.kind != "sqlite":
                with suppress(OutboxInvalid):  # not made yet
                    staging.add_known(_streams_of(settings))
            elif settings.outbox_path.exists():
                staging.add_known(_streams_of(settings))
            streams = sum(1 for _ in staging.unknown(domain))
            return Imported(staging.entities, streams, staging.count_known())
        # Without the relay and the control connection: what is recorded waits for the app.
        replace = msgspec.structs.replace
        alone = replace(
            settings,
            relay=replace(settings.relay, mode="process"),
            postgres=Postgres(),
            outbox=replace(settings.outbox, dsn=settings.outbox.dsn or settings.postgres.dsn),
        )
        # Derived kinds come in as they do in an app: declared to a log that may not know them.
        hand_written = tuple(kind for kind in domain.kinds if kind.description is None)
        ferry = attach(alone, domain=Domain(domain.name, hand_written, domain.ddl))
        try:
            staging.add_known(_streams_of(settings))
            recorded = _record(ferry, domain, staging)
            return Imported(staging.entities, recorded, staging.count_known())
        finally:
            ferry.close(_CLOSE_S)


def _judge(reader: Reader, staging: Staging) -> None:
    problems: list[Problem] = []
    found = 0

    def wrong(problem: Problem) -> None:
        nonlocal found
        found += 1
        if len(problems) < PROBLEMS:
            problems.append(problem)

    for stated in reader.stated(wrong):
        problem = None if found else staging.add(stated)
        if problem is not None:
            wrong(problem)
    if found:
        told = "\n".join(f"  line {problem.line}: {problem.what}" for problem in problems)
        more = f"\n  and {found - len(problems):,} more" if found > len(problems) else ""
        raise FileInvalid(
            f"{found:,} lines may not be recorded, nothing was:\n{told}{more}",
            where=str(reader.path),
            remedy="mend these lines, then import the file again",
        )


def _record(ferry: Ferry, domain: Domain, staging: Staging) -> int:
    for name in staging.entities:
        kind = domain.kind(name)
        if kind.description is not None:
            kind = ferry.declarations.declare(kind.description)
        ferry.keep(FactStore(kind))  # memory is the app's, not this process's
    streams = 0
    receipt = None
    for events in staging.unknown(ferry.domain):
        receipt = ferry.record(events[0]) if len(events) == 1 else ferry.record_all(events)[-1]
        streams += 1
    if receipt is not None:
        receipt.durable()
    return streams


def _streams_of(settings: Settings) -> Iterator[str]:
    """Yield the streams of an outbox that still holds its first events; raises StreamsForgotten."""
    reader = open_reader(settings)
    try:
        for partition in range(reader.identity.partitions):
            if partition in reader.heads() and reader.at(partition, 1) is None:
                raise StreamsForgotten(
                    "the outbox was pruned: it does not say which streams it held",
                    where=str(reader.path),
                    remedy="import into a source of its own: set `source` and `outbox.path`",
                )
        voids = read_own_voids(reader)
        rows = reader.rows(0, _CHUNK_ROWS)
        while rows:
            yield from (row.stream for row in voids.counting(rows) if row.partition >= 0)
            rows = reader.rows(rows[-1].row, _CHUNK_ROWS)
    finally:
        reader.close()
