"""A lane's rows as Kafka keeps them: record batches of format 2, built whole and compressed once.

aiokafka builds the same bytes with a call a record, and fixes lz4 and zstd at slow levels. What
only the producer knows, its id and the lane's sequence, is written into the header at last.
Source: docs/decisions/0017-the-relays-own-producer.md
"""

import struct
import time
from collections.abc import Callable
from typing import Literal, TypeAlias

import cramjam
from aiokafka.record.default_records import calc_crc32c

from eventlog.outbox.columns import Columns
from schemas import envelope

Compression: TypeAlias = Literal["none", "snappy", "zstd", "lz4"]

_HEADER = struct.Struct(">qiibIhiqqqhii")
_AFTER_LENGTH = 12
"""Base offset and length stand before what the length counts."""
_CHECKED_FROM = 21
"""The checksum covers everything behind itself."""
_SNAPPY_BLOCK = 32 * 1024
_SNAPPY_HEADER = b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1)


def _varint(number: int) -> bytes:
    """Return a number that is not negative as Kafka's zigzag varint."""
    rest = number << 1
    written = bytearray()
    while rest > 0x7F:
        written.append(rest & 0x7F | 0x80)
        rest >>= 7
    written.append(rest)
    return bytes(written)


_VARINT = [_varint(number) for number in range(4_096)]
"""Small numbers made once: there are four in every record."""
_NAME = b"content-type"
_HEADERS = (
    _varint(1) + _varint(len(_NAME)) + _NAME
    + _varint(len(envelope.CONTENT_TYPE)) + envelope.CONTENT_TYPE
)  # fmt: skip
"""CloudEvents over Kafka, structured mode: this header tells a reader what the value is."""
_NO_DELAY = b"\x00\x00"
"""A record's attributes, and its time behind its batch's."""
_RECORD_BYTES = len(_NO_DELAY) + len(_HEADERS) + 4 * 5
"""What a record adds to its key and event at most."""


class Lane:
    """Successive rows of one lane, by column; `seq` is the first one's."""

    __slots__ = ("events", "partition", "seq", "streams")

    def __init__(self, partition: int, seq: int) -> None:
        self.partition = partition
        self.seq = seq
        self.streams: list[str] = []
        self.events: list[bytes] = []


def lanes_of(columns: Columns) -> list[Lane]:
    """Return rows by lane, each in order."""
    _, partitions, seqs, streams, events = columns
    lanes = {
        partition: Lane(partition, seqs[partitions.index(partition)])
        for partition in dict.fromkeys(partitions)
    }
    add = {lane.partition: (lane.streams.append, lane.events.append) for lane in lanes.values()}
    for partition, stream, event in zip(partitions, streams, events, strict=True):
        add_stream, add_event = add[partition]
        add_stream(stream)
        add_event(event)
    return list(lanes.values())


class RecordBatch:
    """Some successive rows of one lane, ready to be sent but for the producer's own numbers.

    Its first row's place and size are kept for who must explain why it was refused.
    """

    __slots__ = ("_attributes", "_body", "_time_ms", "count", "event_bytes", "partition",
                 "records_bytes", "seq", "stream")  # fmt: skip

    def __init__(
        self, lane: Lane, first: int, count: int, records: bytes, compression: Compression
    ) -> None:
        code, compress = _CODECS[compression]
        packed = compress(records)
        # As Kafka's own clients do: what does not get smaller goes as it is.
        self._attributes, self._body = (
            (code, packed) if len(packed) < len(records) else (0, records)
        )
        self._time_ms = int(time.time() * 1_000)
        self.partition, self.stream = lane.partition, lane.streams[first]
        self.seq = lane.seq + first
        self.event_bytes = len(lane.events[first])
        self.records_bytes = len(records)
        self.count = count

    def sealed(self, producer_id: int, producer_epoch: int, sequence: int) -> bytes:
        """Return the batch's bytes under a producer's id and the lane's sequence in its life."""
        last = self.count - 1
        length = _HEADER.size - _AFTER_LENGTH + len(self._body)
        numbers = (producer_id, producer_epoch, sequence, self.count)
        times = (self._time_ms, self._time_ms)
        header = _HEADER.pack(0, length, -1, 2, 0, self._attributes, last, *times, *numbers)
        checksum = calc_crc32c(header[_CHECKED_FROM:] + self._body)
        return b"".join((header[: _CHECKED_FROM - 4], checksum.to_bytes(4, "big"),
                         header[_CHECKED_FROM:], self._body))  # fmt: skip


def batches_of(lane: Lane, limit_bytes: int, compression: Compression) -> list[RecordBatch]:
    """Return a lane's rows in batches of at most so many bytes, or one row, before compression."""
    batches: list[RecordBatch] = []
    parts: list[bytes] = []
    start = place = size = 0
    fixed = len(_NO_DELAY) + len(_HEADERS)
    limit = limit_bytes - _HEADER.size
    for stream, event in zip(lane.streams, lane.events, strict=True):
        key = stream.encode()
        if size + len(key) + len(event) + _RECORD_BYTES > limit and place:
            batches.append(RecordBatch(lane, start, place, b"".join(parts), compression))
            start, parts, place, size = start + place, [], 0, 0
        try:
            offset, key_size, event_size = _VARINT[place], _VARINT[len(key)], _VARINT[len(event)]
            body = fixed + len(offset) + len(key_size) + len(key) + len(event_size) + len(event)
            record_size = _VARINT[body]
        except IndexError:
            offset, key_size, event_size = map(_varint, (place, len(key), len(event)))
            body = fixed + len(offset) + len(key_size) + len(key) + len(event_size) + len(event)
            record_size = _varint(body)
        parts += (record_size, _NO_DELAY, offset, key_size, key, event_size, event, _HEADERS)
        size += len(record_size) + body
        place += 1
    if parts:
        batches.append(RecordBatch(lane, start, place, b"".join(parts), compression))
    return batches


def _snappy(records: bytes) -> bytes:
    """Compress in the framing that Java's readers of Kafka know: blocks, each with its size."""
    whole = memoryview(records)
    parts = [_SNAPPY_HEADER]
    for start in range(0, len(records), _SNAPPY_BLOCK):
        block = bytes(cramjam.snappy.compress_raw(whole[start : start + _SNAPPY_BLOCK]))
        parts += (len(block).to_bytes(4, "big"), block)
    return b"".join(parts)


def _lz4(records: bytes) -> bytes:
    # Kafka reads independent blocks only.
    compressor = cramjam.lz4.Compressor(level=1, content_checksum=False, block_linked=False)
    compressor.compress(records)
    return bytes(compressor.finish())


def _zstd(records: bytes) -> bytes:
    return bytes(cramjam.zstd.compress(records, level=1))


def _none(records: bytes) -> bytes:
    return records


_CODECS: dict[Compression, tuple[int, Callable[[bytes], bytes]]] = {
    "none": (0, _none),
    "snappy": (2, _snappy),
    "lz4": (3, _lz4),
    "zstd": (4, _zstd),
}
"""Kafka's number for each, and what packs it at its quickest level."""
