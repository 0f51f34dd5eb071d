"""The mends of a topic as the control topic holds them, for a restart without the tables."""

from typing import TYPE_CHECKING

import msgspec

from eventlog.apart import run_apart
from eventlog.restart.log import read_log
from schemas import envelope
from schemas.control import CONTROL_TYPE_OF, DECISIONS_SOURCE, LaneMended, decode_control
from schemas.envelope import EnvelopeInvalid
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION, LaneCheck, LaneId, genesis
from schemas.mend import Mend
from schemas.position import FIRST_GENERATION, control_topic
from schemas.settings import Settings

if TYPE_CHECKING:
    from aiokafka.structs import ConsumerRecord

_MENDED = CONTROL_TYPE_OF[LaneMended]


class MendUnreadable(FerryError):
    """A mend was decided by a later memferry, in words that this one does not know."""


def read_mends(settings: Settings) -> tuple[Mend, ...]:
    """Return every mend of a topic, in the order of the decisions.

    Raises: LogCut, BrokerUnreachable; LaneBroken where the decisions are not whole; MendUnreadable.
    """
    decisions = _Decisions()
    run_apart(read_log(settings, control_topic(settings.topic), {0: 0}, decisions.take))
    return tuple(decisions.mends)


class _Decisions:
    """PostgreSQL's lane of the control topic, followed from its first decision."""

    def __init__(self) -> None:
        lane = LaneId(DECISIONS_SOURCE, FIRST_GENERATION, CONTROL_PARTITION)
        self._check = LaneCheck(lane, genesis(lane))
        self.mends: list[Mend] = []

    def take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        value = record.value or b""
        try:
            event = envelope.decode(value)
            seq = int(event.seq)
        except (EnvelopeInvalid, ValueError):
            return  # no decision: the lane proves that none is missing
        if event.source != DECISIONS_SOURCE:
            return
        if not self._check.admit(value, seq, event.epoch, event.chain, record.offset):
            return
        if event.type != _MENDED:
            return
        try:
            mended = decode_control(event.type, event.data)
        except msgspec.MsgspecError as error:
            raise MendUnreadable(
                f"a mend cannot be read: {error}",
                where=f"topic {record.topic}, lane {self._check.lane}, offset {record.offset}",
                remedy="run the memferry that decided it, or a later one",
            ) from error
        if isinstance(mended, LaneMended):
            self.mends.append(mended.mend)
