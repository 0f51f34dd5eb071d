"""One source's events behind a position, proven whole, kept on disk until their kind asks for them.

They come from the topic, and where that ends from the outbox. Read once for all kinds; memory is
bounded, whatever their number.
"""

import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from eventlog.apart import run_apart
from eventlog.outbox.contract import OutboxIdentity, OutboxReader, OutboxRow
from eventlog.restart.log import read_log
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.envelope import Envelope, EnvelopeInvalid
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION, LaneBroken, LaneCheck, LaneHead, LaneId, genesis
from schemas.mend import Mend, Mends
from schemas.position import kafka_topic
from schemas.settings import Settings

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord

_CHUNK_ROWS = 5_000
Wanted: TypeAlias = Callable[[int, int, str], bool]
"""Whether an event is wanted: its partition, its seq, its stream."""
_PLACE = struct.Struct("<iqI")  # partition, seq, bytes of the event


class RestartIncomplete(FerryError):
    """Tables, topic and outbox together do not hold every event that made the memory."""


class Tail:
    """The events of each kind behind the heads that it began from, to the outbox's own heads.

    `until` are the outbox's heads as the process found them: later events are none of a restart's.
    `wanted` says which are kept; `breathe` is called at every record that is read.
    """

    def __init__(
        self,
        settings: Settings,
        open_reader: Callable[[], OutboxReader],
        until: Mapping[int, LaneHead],
        heads: Mapping[int, LaneHead],
        offsets: Mapping[int, int],
        *,
        mends: Iterable[Mend] = (),
        wanted: Wanted = lambda partition, seq, stream: True,
        breathe: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._wanted = wanted
        self._breathe = breathe
        self._until = until
        self.began = dict(heads)
        self._broken: dict[int, LaneBroken] = {}
        self._spools: dict[str, IO[bytes]] = {}
        beside = Path(settings.outbox_path).parent
        self._place = beside if beside.is_dir() else None  # a PostgreSQL outbox has no file
        reader = open_reader()
        try:
            self._identity: OutboxIdentity = reader.identity
            self._mends = Mends(self._identity.generation, mends)
            self._checks = {
                p: LaneCheck(self._lane(p), heads.get(p) or genesis(self._lane(p)))
                for p in (*until, *(heads.keys() - until.keys()))
                if p != CONTROL_PARTITION
            }
            self._read(reader, dict(offsets))
            for spool in self._spools.values():
                spool.flush()
        except BaseException:
            self.close()
            raise
        finally:
            reader.close()

    def kinds(self) -> list[str]:
        """Return the names of the kinds that have events here."""
        return list(self._spools)

    def of_kind(self, name: str, applied: Mapping[int, LaneHead]) -> Iterator[OutboxRow]:
        """Yield a kind's events behind `applied`, each lane's in its order; `row` is only a count.

        `applied` must not be before the heads that the tail began from.
        """
        spool = self._spools.get(name)
        if spool is None:
            return
        spool.seek(0)
        count = 0
        while place := spool.read(_PLACE.size):
            partition, seq, size = _PLACE.unpack(place)
            event = spool.read(size)
            if partition in applied and seq <= applied[partition].seq:
                continue
            count += 1
            yield OutboxRow(count, partition, seq, envelope.decode(event).subject, event)

    def drop(self, name: str) -> None:
        """Give back what a kind's events take."""
        spool = self._spools.pop(name, None)
        if spool is not None:
            spool.close()

    def close(self) -> None:
        """Give the disk back."""
        for spool in self._spools.values():
            spool.close()
        self._spools.clear()

    # --- reading

    def _read(self, reader: OutboxReader, offsets: dict[int, int]) -> None:
        missing = self._missing()
        while missing:
            behind = {partition: offsets[partition] for partition in missing}
            topic = kafka_topic(self._settings.topic, self._identity.generation)
            offsets |= run_apart(read_log(self._settings, topic, behind, self._take_record))
            self._take_unsent(reader)
            before, missing = missing, self._missing()
            # What was pruned behind the look at the log is in the log now, or is nowhere.
            if missing == before:
                partition, seq = next(iter(missing.items()))
                broken = self._broken.get(partition)
                raise RestartIncomplete(
                    f"event {seq} is neither in the topic nor in the outbox"
                    + (f": {broken.what}" if broken is not None else ""),
                    where=broken.where if broken is not None else f"lane {self._lane(partition)}",
                    remedy="nothing was changed: find the newest outbox file of this source, or "
                    "restore the topic, and start again",
                )
        for partition, check in self._checks.items():
            if partition not in self._until or check.head.digest != self._until[partition].digest:
                raise RestartIncomplete(
                    f"event {check.head.seq} in the tables or the topic is not in the outbox",
                    where=f"lane {self._lane(partition)}",
                    remedy="two outboxes wrote as this source, or the database is of another life "
                    'of it: set `restart.memory_from = "log"`',
                )

    def _missing(self) -> dict[int, int]:
        """Return the lanes that are not read to their heads, and the seq that each goes on at."""
        return {
            partition: check.head.seq + 1
            for partition, check in self._checks.items()
            if partition in self._until and check.head.seq < self._until[partition].seq
        }

    def _take_record(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        partition, value = record.partition, record.value or b""
        if partition in self._broken or self._mends.ignores(partition, record.offset):
            return
        try:
            event = envelope.decode(value)
            seq = int(event.seq)
        except (EnvelopeInvalid, ValueError):
            return  # nobody's event: each lane proves by itself that none of its own is missing
        if event.source != self._identity.source:
            return
        continues = self._mends.continues(partition, record.offset)
        if continues is not None and continues[0] == event.source:
            self._checks[partition] = LaneCheck(self._lane(partition), continues[1])
        try:
            self._take(partition, seq, value, event, record.offset)
        except LaneBroken as error:
            self._broken[partition] = error  # the outbox may hold what was lost or altered here

    def _take_unsent(self, reader: OutboxReader) -> None:
        missing = self._missing()
        found = [reader.at(partition, seq) for partition, seq in missing.items()]
        after = min((row.row for row in found if row is not None), default=0) - 1
        while after >= 0 and (rows := reader.rows(after, _CHUNK_ROWS)):
            for row in rows:
                check = self._checks.get(row.partition)
                if check is not None and row.seq == check.head.seq + 1:
                    event = envelope.decode(row.event)
                    self._take(row.partition, row.seq, row.event, event, row.row)
            after = rows[-1].row
            if not self._missing():
                return

    def _take(self, partition: int, seq: int, value: bytes, event: Envelope, place: int) -> None:
        self._breathe()
        if partition not in self._until or seq > self._until[partition].seq:
            return
        new = self._checks[partition].admit(value, seq, event.epoch, event.chain, place)
        if (
            new
            and not event.type.startswith(CONTROL_PREFIX)
            and self._wanted(partition, seq, event.subject)
        ):
            spool = self._spool(event.subject.partition("/")[0])
            spool.write(_PLACE.pack(partition, seq, len(value)))
            spool.write(value)

    def _spool(self, kind: str) -> IO[bytes]:
        if kind not in self._spools:
            spool = tempfile.TemporaryFile(dir=self._place)  # noqa: SIM115  (closed by `close`)
            self._spools[kind] = spool
        return self._spools[kind]

    def _lane(self, partition: int) -> LaneId:
        return LaneId(self._identity.source, self._identity.generation, partition)
