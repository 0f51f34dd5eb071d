"""Reading a part of the log for what the envelopes say, with no regard to lanes or tables."""

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec
from aiokafka.structs import ConsumerRecord

from projector.audit.log_fold import LogSilent
from projector.log import Log

Bounds = Mapping[int, tuple[int, int]]
"""Partition → its first offset, and the one behind its last record."""
NEAR = 2_000
"""How many records of each partition are looked at on either side of a place."""
_FETCH = 10_000
_WAIT_MS = 200
_PATIENCE_S = 30.0


class Head(msgspec.Struct, gc=False):
    """What an envelope says of its event, without the event.

    `time` is RFC 3339 in UTC with nine decimals: as texts, times are in order.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    seq: int
    unit: str | None = None
    snapshot: bool = False


_decode = msgspec.json.Decoder(Head, strict=False).decode  # seq is a text there


def head_of(value: bytes | None) -> Head | None:
    """Return what a record's envelope says; None where there is none in it."""
    try:
        return _decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


async def scan(
    log: Log, begins: Mapping[int, int], ends: Mapping[int, int], enough: Collection[int] = ()
) -> AsyncIterator[tuple[int, Sequence["ConsumerRecord[Any, Any]"]]]:
    """Give the records of partitions from `begins` up to `ends`, those of each in order.

    Of the partitions in `enough`, to which the caller may add, nothing more is given.
    Raises: OffsetsGone, LogSilent.
    """
    left = {p: ends[p] for p, begin in begins.items() if begin < ends[p]}
    if not left:
        return
    await log.start_at({p: begins[p] for p in left})
    heard = time.monotonic()
    while left:
        found = await log.fetch(_FETCH, _WAIT_MS)
        if found:
            heard = time.monotonic()
        elif time.monotonic() - heard > _PATIENCE_S:
            raise LogSilent(
                f"the log gave nothing for {_PATIENCE_S:g} s",
                where=f"topic {log.topic}, partitions {sorted(left)}",
                remedy="look at Kafka, then run it again",
            )
        for partition, records in found.items():
            if partition not in left:
                continue  # was fetched before it was left
            end = left[partition]
            if records[-1].offset + 1 >= end:
                records = [record for record in records if record.offset < end]  # noqa: PLW2901
                del left[partition]
                log.leave(partition)
            if records and partition not in enough:
                yield partition, records
        for partition in [p for p in left if p in enough]:
            del left[partition]
            log.leave(partition)
