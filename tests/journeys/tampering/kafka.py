"""The log, doctored: a topic whose partitions stand for one tampering each, a few for none.

A broker alters nothing on request, so the topic is written by hand: behind the app's back before
its barrier comes (`before`), or anew once its events are in the tables (`after`).
"""

import contextlib
import random
import re
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from eventlog.outbox.contract import OutboxRow
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from projector.audit.compare import Finding
from projector.audit.result import AuditResult
from projector.audit.run import audit
from projector.control_tables import connect, establish
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Relay, Settings
from schemas.trading import DOMAIN
from tests.journeys.tampering.cases import Case, Judged, judged, sentence
from tests.journeys.tampering.events import altered_bit, another, forged, from_elsewhere
from tests.journeys.tampering.trader import Trader
from tests.projector.broker import Broker
from tests.projector.projecting import project

PARTITIONS = 24
UNTOUCHED = 4
AT_ONCE = PARTITIONS - UNTOUCHED
_EVENTS = PARTITIONS * 25
_LOOK_S = 0.005
_DUPLICATE = "partition {}, offset {}"
Lane = list[bytes]


class Done(NamedTuple):
    """What was done: in words, what stands in the partition now, the numbers concerned."""

    words: str
    lane: Lane
    seqs: set[int]
    harmless_at: int | None = None
    """The offset of a record that is only there twice: no finding, and yet to be told."""


class FalseAlarm(Exception):
    """Something was found where nobody did anything."""


class KafkaPlace:
    """Makes a topic and an app for each handful of cases."""

    def __init__(self, settings: Settings, broker: Broker, directory: Path) -> None:
        self._settings = settings
        self._broker = broker
        self._directory = directory

    async def judge(self, cases: Sequence[Case], *, applied: bool) -> list[Judged]:
        """Doctor one topic for all these cases, audit it once; raises FalseAlarm.

        `applied`: the tables had the events before it was done.
        """
        name = f"t{secrets.token_hex(5)}"
        settings = msgspec.structs.replace(
            self._settings, topic=name, projection=name, directory=str(self._directory),
            outbox=msgspec.structs.replace(self._settings.outbox, path=f"{name}.db"),
            kafka=msgspec.structs.replace(self._settings.kafka, partitions=PARTITIONS),
            relay=Relay(mode="process"),
        )  # fmt: skip
        app = Trader(settings, _EVENTS)
        try:
            rows = _rows(settings, 0)
            lanes: dict[int, Lane] = {partition: [] for partition in range(PARTITIONS)}
            for row in rows:
                if row.partition != CONTROL_PARTITION:
                    lanes[row.partition].append(row.event)
            done = {n: _doctored(case, lanes, n, applied=applied) for n, case in enumerate(cases)}
            lanes |= {n: one.lane for n, one in done.items()}
            if applied:
                self._broker.publish(settings, rows)
                await project(settings, domain=DOMAIN)
                self._broker.drop_topic(settings)
                self._broker.make_topics(settings, control=False)
            else:
                with contextlib.closing(connect(settings, "test")) as conn:
                    establish(conn, settings, DOMAIN, PARTITIONS)
                control = [row.event for row in rows if row.partition == CONTROL_PARTITION]
                self._broker.send_control(settings, control)
            for partition, lane in lanes.items():
                self._broker.send(settings, partition, lane)
            with self._relaying(settings, rows[-1].row):
                result = await audit(
                    settings, DOMAIN, with_memory=not applied, with_tables=applied, full=True,
                    timeout_s=20,
                )  # fmt: skip
        except FerryError as error:
            said = f"nothing: the audit ends with {type(error).__name__}: {error.what}"
            return [
                Judged(case, done[n].words, found=False, located=False, said=said)
                for n, case in enumerate(cases)
            ]
        finally:
            app.close()
        _require_silence(result, len(cases))
        return [_judge(case, n, done[n], result) for n, case in enumerate(cases)]

    @contextlib.contextmanager
    def _relaying(self, settings: Settings, after: int) -> Iterator[None]:
        """Hand on what the app writes meanwhile: the audit's barriers."""
        over = threading.Event()

        def relay() -> None:
            sent = after
            while not over.wait(_LOOK_S):
                rows = _rows(settings, sent)
                if rows:
                    self._broker.publish(settings, rows)
                    sent = rows[-1].row

        thread = threading.Thread(target=relay)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def _rows(settings: Settings, after: int) -> list[OutboxRow]:
    reader = SqliteOutboxReader(settings.outbox_path)
    try:
        return reader.rows(after, 1_000_000)
    finally:
        reader.close()


def _partition_of(finding: Finding) -> int | None:
    found = re.search(r"partition (\d+)", f"{finding.key} {finding.detail}")
    return int(found[1]) if found else None


def _require_silence(result: AuditResult, tampered: int) -> None:
    for finding in result.findings:
        partition = _partition_of(finding)
        if partition is None or partition >= tampered:
            raise FalseAlarm(sentence(finding))


def _judge(case: Case, partition: int, done: Done, result: AuditResult) -> Judged:
    found = [f for f in result.findings if _partition_of(f) == partition]
    if done.harmless_at is not None:
        told = _DUPLICATE.format(partition, done.harmless_at) in result.duplicates_at
        said = f"a record a second time: {_DUPLICATE.format(partition, done.harmless_at)}"
        # Below the tables' position it moves the newest event out: that is the log's, too.
        alarms = [f for f in found if (f.witness, f.problem) != ("log", "differs")]
        if alarms or not told:
            said = sentence(alarms[0]) if alarms else "nothing"
        return Judged(case, done.words, told, told and not alarms, said)
    numbers = {
        int(number)
        for finding in found
        for number in re.findall(r"\d+", f"{finding.key} {finding.detail}")
    }
    near = {seq + step for seq in done.seqs for step in (-1, 0, 1)}
    missed = [] if numbers & near else [f"partition {partition}, of seqs {sorted(near)[:3]}"]
    at = [place for place in result.duplicates_at if place.startswith(f"partition {partition},")]
    one = judged(case, f"partition {partition}: {done.words}", found, missed)
    return one._replace(said=f"only a duplicate: {at[0]}") if at and not found else one


def _doctored(case: Case, lanes: dict[int, Lane], partition: int, *, applied: bool) -> Done:
    lane = lanes[partition]
    if not applied or case.kind != "duplicate":
        return _HOW[case.kind](lane, lanes, case.draw())
    # The newest stays the newest: what is behind the tables' position is not of their audit.
    done = _duplicate(lane[:-1], lanes, case.draw())
    return done._replace(lane=[*done.lane, lane[-1]])


# --- what is done: events stand in their order, number n + 1 at place n


def _flip(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    at = draw.choice([draw.randrange(len(lane)), len(lane) - 1])
    changed = [*lane[:at], altered_bit(lane[at], draw), *lane[at + 1 :]]
    return Done(f"seq {at + 1}: one bit", changed, {at + 1})


def _delete(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    at = draw.randrange(len(lane))
    return Done(f"seq {at + 1}: missing", lane[:at] + lane[at + 1 :], {at + 1})


def _insert(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    at = draw.randrange(len(lane))
    how, record = draw.choice(
        [
            ("no event", draw.randbytes(40)),
            ("one of a source that nobody registered", from_elsewhere(lane[at])),
            ("one of another partition", draw.choice(lanes[PARTITIONS - 1])),
            ("a forged one with the next number", _next_forged(lane, at)),
        ]
    )
    return Done(f"before seq {at + 1}: {how}", [*lane[:at], record, *lane[at:]], {at + 1})


def _next_forged(lane: Lane, at: int) -> bytes:
    """Return an event that continues the lane as the genuine one does."""
    found = re.search(rb'"chain":"(\w+)"', lane[at])
    assert found is not None
    return forged(lane[at], at + 1, found[1].decode())


def _swap(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    one, other = sorted(draw.sample(range(len(lane)), 2))
    changed = list(lane)
    changed[one], changed[other] = lane[other], lane[one]
    return Done(f"seqs {one + 1} and {other + 1} exchanged", changed, {one + 1, other + 1})


def _duplicate(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    at = draw.randrange(len(lane))
    behind = draw.choice([at + 1, draw.randrange(at, len(lane)) + 1])
    if draw.randrange(2):
        changed = [*lane[:behind], lane[at], *lane[behind:]]
        return Done(f"seq {at + 1} again at offset {behind}", changed, set(), behind)
    changed = [*lane[:behind], another(lane[at]), *lane[behind:]]
    words = f"seq {at + 1} again at offset {behind}, with another content"
    return Done(words, changed, {at + 1})


def _truncate(lane: Lane, lanes: dict[int, Lane], draw: random.Random) -> Done:
    at = draw.randrange(len(lane))
    return Done(f"seq {at + 1} to the end: cut off", lane[:at], set(range(at + 1, len(lane) + 1)))


_HOW: dict[str, Callable[[Lane, dict[int, Lane], random.Random], Done]] = {
    "flip": _flip, "delete": _delete, "insert": _insert, "swap": _swap,
    "duplicate": _duplicate, "truncate": _truncate,
}  # fmt: skip
