"""A dead instance's outbox: taken over, relayed to its end, and retired or left to a new instance.

The old process, should it wake, acknowledges nothing more: its next commit finds the file's
generation raised, and halts it.
"""

import asyncio
from typing import NamedTuple

from eventlog.apart import run_apart
from eventlog.control_events import ControlEvents
from eventlog.outbox.contract import OutboxInvalid
from eventlog.outbox.opening import require_file
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.outbox.takeover import take_over
from eventlog.receipts import Promises
from eventlog.relay import Relay
from eventlog.relay_service import report_trouble
from eventlog.shim import require_not_retired
from eventlog.topic import ensure_topics, require_source
from schemas.control import SourceRetired
from schemas.errors import FerryError
from schemas.identity import id_generator
from schemas.lane import CONTROL_PARTITION
from schemas.position import FIRST_GENERATION
from schemas.settings import Settings


class AdoptionIncomplete(FerryError):
    """The outbox is adopted, but Kafka does not hold all of it yet."""


class Adoption(NamedTuple):
    """What became of a dead instance's outbox."""

    source: str
    writer: int
    """The file's generation from now on."""
    relayed: int
    """Events that were sent to Kafka on this occasion."""
    events: int
    """Events that the outbox ever held, all of them in Kafka now."""
    retired: bool


def adopt(
    settings: Settings, *, retire: bool = False, stopped: bool = False, timeout: float | None = None
) -> Adoption:
    """Take over the outbox of a dead instance and hand all that is in it to Kafka.

    Afterwards a new instance with the same `source` and `outbox.path` goes on where it ended; with
    `retire` the source is closed for good instead. Killed at any moment, it can be run again.
    `stopped` takes the file also from a process that holds its lock and does not run.
    Raises: OutboxInUse, OutboxInvalid, SourceIsRetired, BrokerUnreachable, OutboxBehindTopic,
            AdoptionIncomplete after `timeout` seconds (None: `migration.timeout_ms`).
    """
    require_source(settings)
    require_file(settings, "adoption")
    require_not_retired(settings)
    _require_ours(settings)
    run_apart(ensure_topics(settings, FIRST_GENERATION))
    taken = take_over(settings.outbox_path, stopped=stopped)
    limit = settings.migration.timeout_ms / 1000 if timeout is None else timeout
    outbox = SqliteOutbox(settings.outbox_path, taken.identity)
    try:
        relayed = _relay_to_end(settings, outbox.last_row(), limit)
        if retire:
            _retire(outbox)
            relayed += _relay_to_end(settings, outbox.last_row(), limit)
        return Adoption(settings.source, taken.writer, relayed, outbox.last_row(), retire)
    finally:
        outbox.close()


def _require_ours(settings: Settings) -> None:
    reader = SqliteOutboxReader(settings.outbox_path)
    identity = reader.identity
    reader.close()
    if (identity.source, identity.topic) != (settings.source, settings.topic):
        raise OutboxInvalid(
            f"the outbox belongs to source {identity.source!r}, topic {identity.topic!r}; the "
            f"settings say {settings.source!r}, {settings.topic!r}",
            where=str(settings.outbox_path),
            remedy="adopt it with the settings of the instance that died",
        )


def _relay_to_end(settings: Settings, last_row: int, limit_s: float) -> int:
    """Relay up to a row; return how many rows Kafka did not have."""
    marks: list[int] = []

    def note(row: int) -> None:
        marks.append(row)
        if row >= last_row:
            relay.stop()

    relay = Relay(settings, note, on_trouble=report_trouble)

    async def work() -> None:
        async with asyncio.timeout(limit_s):
            await relay.run()

    try:
        run_apart(work())
    except TimeoutError as error:
        raise AdoptionIncomplete(
            f"Kafka has the outbox's events up to row {relay.sent_row} of {last_row} after "
            f"{limit_s} s; the outbox is adopted",
            where=str(settings.outbox_path),
            remedy="when Kafka answers again, run `memferry adopt` again, or start the app",
        ) from error
    return last_row - marks[0]


def _retire(outbox: SqliteOutbox) -> None:
    source = outbox.identity.source
    heads = {
        partition: (head.seq, head.digest)
        for partition, head in outbox.heads().items()
        if partition != CONTROL_PARTITION
    }
    control = ControlEvents(source, Promises(), id_generator())
    outbox.append([control.receipt(SourceRetired(source, heads), CONTROL_PARTITION)])
