"""The whole check: journal, then log, then tables."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from tests.checker.comparison import Comparison, generation_of
from tests.checker.database import read_tables
from tests.checker.topic import read_topic
from tests.checker.verdict import Verdict


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
    comparison = await asyncio.to_thread(_begin, journal, generation, until)
    comparison.findings += await read_topic(bootstrap, topic, comparison.take)
    comparison.end_log(snapshot_complete=snapshot_complete)
    await read_tables(dsn, schema, comparison)
    return comparison.verdict()


def _begin(journal: Path, generation: int, until: Mapping[int, int] | None) -> Comparison:
    with journal.open("rb") as lines:
        return Comparison(lines, generation, until)
