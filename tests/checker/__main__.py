"""The checker as a command: exit 0 clean, 1 findings, 2 error."""

import argparse
import asyncio
import sys
from pathlib import Path

import psycopg
from aiokafka.errors import KafkaError

from tests.checker.check import check
from tests.checker.journal import JournalInvalid
from tests.checker.topic import TopicUnreadable


def main(arguments: list[str] | None = None) -> int:
    """Check, write the verdict to standard output, and return the exit code."""
    options = _options(arguments)
    try:
        verdict = asyncio.run(
            check(
                journal=options.journal,
                bootstrap=options.bootstrap,
                topic=options.topic,
                dsn=options.dsn,
                schema=options.schema,
                until=options.until,
                snapshot_complete=not options.snapshot_incomplete,
            )
        )
    except (
        JournalInvalid,
        TopicUnreadable,
        KafkaError,
        psycopg.Error,
        OSError,
        ValueError,
    ) as error:
        print(f"cannot check: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(verdict)
    return 0 if verdict.clean else 1


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.checker", description=__doc__)
    parser.add_argument("--journal", type=Path, required=True, help="the app's own journal")
    parser.add_argument("--bootstrap", required=True, help="Kafka, HOST:PORT[,HOST:PORT…]")
    parser.add_argument("--topic", required=True, help="its name in Kafka, <topic>.<generation>")
    parser.add_argument("--dsn", required=True, help="PostgreSQL, as libpq takes it")
    parser.add_argument("--schema", required=True, help="where the domain's tables are")
    parser.add_argument(
        "--until", type=_offsets, help="PARTITION:OFFSET,… exclusive; where the tables stand"
    )
    parser.add_argument(
        "--snapshot-incomplete",
        action="store_true",
        help="entities held at attach may be missing from the log, if nothing happened to them",
    )
    return parser.parse_args(arguments)


def _offsets(text: str) -> dict[int, int]:
    pairs = [part.split(":") for part in text.split(",")]
    return {int(partition): int(offset) for partition, offset in pairs}


if __name__ == "__main__":
    sys.exit(main())
