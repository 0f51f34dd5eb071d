"""The log as records: every event as a step, in its stream's order, then every entity once."""

from contextlib import closing
from typing import Any

import psycopg

from projector.audit.fold_state import Step
from projector.audit.fold_store import FoldStore
from projector.audit.log_fold import LogFold, OnBroken
from projector.audit.records.record import Add, Fault, Record, key_writer
from projector.control_tables import connect, read_projection
from projector.control_topic import read_control
from projector.lanes import ForeignSource, RecordRefused
from projector.log import Log, LogChanged
from projector.mends import read_mends
from projector.voids import in_force
from schemas.domain import Domain
from schemas.envelope import Envelope
from schemas.errors import FerryError
from schemas.lane import LaneBroken, SequenceGap
from schemas.position import FIRST_GENERATION, format_offsets, kafka_topic
from schemas.settings import Settings


async def read_log(settings: Settings, domain: Domain, add: Add) -> str:
    """Give everything that the log holds; return the position at which it ended.

    A record that does not continue its lane is given with its error, and nothing behind it in its
    partition. Memory is bounded: entities are kept in a file meanwhile.
    Raises: ProjectionMissing where no projector was ever started on this database.
    """
    with closing(connect(settings, "validation")) as conn:
        async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
            # First: the control topic has each void before this one has its marks.
            bounds = await log.bounds()
            fold = await _fold(settings, domain, conn)
            try:
                broken = _watch(settings, domain, add, fold, conn)
                fold.offsets = {p: first for p, (first, _) in bounds.items() if first}
                ends = {partition: end for partition, (_, end) in bounds.items()}
                await fold.read_to(log, ends, broken)
                keys = {kind.name: key_writer(kind) for kind in domain.kinds}
                for kind, entity in fold.state.entities():
                    add(Record("the log", kind, keys[kind.name](entity), entity))
                return format_offsets(ends)
            finally:
                fold.close()


async def _fold(settings: Settings, domain: Domain, conn: psycopg.Connection[Any]) -> LogFold:
    found: list[Any] = []

    def look() -> None:
        found.append(read_mends(conn, settings.topic))
        found.append(in_force(conn, settings.topic, FIRST_GENERATION))

    try:
        known = await read_control(conn, settings, keep=False, look=look)
    except psycopg.errors.UndefinedTable:
        read_projection(conn, settings.projection or domain.name)  # says what is to be done
        raise
    mends, voids = found
    store = FoldStore(None)
    return LogFold(domain, FIRST_GENERATION, known, mends, store, voids=voids, summed=False)


def _watch(
    settings: Settings, domain: Domain, add: Add, fold: LogFold, conn: psycopg.Connection[Any]
) -> OnBroken:
    """Have a fold give records as it reads on; return what it is to do where the log is broken."""
    keys = {kind.name: key_writer(kind) for kind in domain.kinds}

    def step(record: Any, moved: Step) -> None:
        kind = moved.kind
        place = f"partition {record.partition}, offset {record.offset}"
        key = keys[kind.name](moved.event)
        # What the domain refused is a step that changed nothing: its rules say what is wrong.
        add(Record(place, kind, key, moved.after, moved.event, moved.before, record.value))

    def unread(record: Any, event: Envelope, error: Exception) -> None:
        reader = domain.readers.get(event.type)
        place = f"partition {record.partition}, offset {record.offset}"
        if reader is None:
            said = f"no kind of the domain has events of type {event.type}"
            add(Record(place, None, event.subject, raw=record.value, error=said,
                       fault="unknown_type"))  # fmt: skip
            return
        said = f"{event.type}: {getattr(error, 'what', None) or error}"
        add(Record(place, reader.kind, event.subject, raw=record.value, error=said,
                   fault="unreadable"))  # fmt: skip

    def broken(partition: int, error: FerryError) -> bool:
        if not isinstance(error, LaneBroken | RecordRefused | LogChanged):
            return False
        said = f"{error.what}; nothing behind it was read"
        add(Record(error.where, None, "", error=said, fault=_fault(error)))
        return True

    async def learn() -> set[str]:
        return await read_control(conn, settings, keep=False)

    fold.on_step, fold.on_unread, fold.learn_sources = step, unread, learn
    return broken


def _fault(error: FerryError) -> Fault:
    if isinstance(error, SequenceGap | LogChanged):
        return "lost"
    if isinstance(error, ForeignSource):
        return "foreign"
    return "broken_chain" if isinstance(error, LaneBroken) else "unreadable"
