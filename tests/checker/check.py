"""The whole check: journal, then log, then tables."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.checker.database import read_tables
from tests.checker.event import Record
from tests.checker.fold import Fold
from tests.checker.journal import Journal, parse_journal
from tests.checker.log import LogCheck
from tests.checker.topic import read_topic
from tests.checker.verdict import Counts, Verdict


async def check(
    *,
    journal: Path,
    bootstrap: str,
    topic: str,
    dsn: str,
    schema: str,
    until: Mapping[int, int] | None = None,
    snapshot_complete: bool = True,
) -> Verdict:
    """Compare the app's journal, the log and the tables, all as they are now.

    Nothing may be under way: what is acknowledged and not yet in Kafka is lost to this check, what
    is in Kafka and not yet applied is missing from the tables.

    Shape:  `topic` is Kafka's name, `<topic>.<generation>`; `dsn` is for libpq.
    Units:  `until` is partition → the first offset that the tables do not show; the log is compared
            with the journal to its end in any case. None: the tables show the whole log.
    Raises: JournalInvalid, TopicUnreadable, KafkaError, psycopg.Error, OSError; ValueError where
            `topic` has no generation or `until` leaves out a partition that has records.
    """
    generation = generation_of(topic)
    said = await asyncio.to_thread(_read_journal, journal)
    counts = Counts(
        acknowledged=len(said.acknowledged), baseline=len(said.baseline), torn=said.torn
    )
    findings = said.findings
    log, fold = LogCheck(generation, said, counts, findings), Fold(findings)

    def take(record: Record) -> None:
        event = log.admit(record)
        if event is not None and is_below(record, until):
            fold.apply(event)

    findings += await read_topic(bootstrap, topic, take)
    log.finish(snapshot_complete=snapshot_complete)
    counts.folded = fold.events
    counts.rows = await read_tables(dsn, schema, fold.rows, findings)
    return Verdict(findings, counts)


def generation_of(topic: str) -> int:
    """Return the generation in a topic's name in Kafka; raises ValueError where there is none."""
    _, dot, generation = topic.rpartition(".")
    if not (dot and generation.isdecimal()):
        raise ValueError(f"{topic!r} is no topic with a generation, for example memferry.1")
    return int(generation)


def is_below(record: Record, until: Mapping[int, int] | None) -> bool:
    """Say whether the tables are to show a record; raises ValueError where `until` does not say."""
    if until is None:
        return True
    if record.partition not in until:
        raise ValueError(f"`until` does not name partition {record.partition}")
    return record.offset < until[record.partition]


def _read_journal(path: Path) -> Journal:
    with path.open("rb") as lines:
        return parse_journal(lines)
