"""Our record batches beside aiokafka's: its builder is a judge of the bytes, its reader another."""

import struct
from itertools import pairwise

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from eventlog.outbox.columns import columns_of
from eventlog.outbox.contract import OutboxRow
from eventlog.record_batches import Compression, Lane, RecordBatch, batches_of, lanes_of
from schemas import envelope

HEADERS = [("content-type", envelope.CONTENT_TYPE)]
OVERHEAD_BYTES = 61
SIZES = [0, 1, 40, 63, 64, 127, 128, 700, 4_000, 4_095, 4_096, 8_191, 8_192, 70_000, 1, 2]


def rows(sizes: list[int] = SIZES, partition: int = 2) -> list[OutboxRow]:
    return [
        OutboxRow(n, partition, n, f"account/ä-{n}", (b"%d" % (n % 10)) * size)
        for n, size in enumerate(sizes, 1)
    ]


def lane(of: list[OutboxRow]) -> Lane:
    (found,) = lanes_of(columns_of(of))
    return found


def theirs(of: list[OutboxRow], time_ms: int) -> bytes:
    """Return aiokafka's bytes of the same records."""
    builder = DefaultRecordBatchBuilder(
        2, 0, is_transactional=0, producer_id=7, producer_epoch=3, base_sequence=11,
        batch_size=10_000_000,
    )  # fmt: skip
    for place, row in enumerate(of):
        builder.append(place, time_ms, row.stream.encode(), row.event, HEADERS)
    return bytes(builder.build())


def time_of(sealed: bytes) -> int:
    (time_ms,) = struct.unpack_from(">q", sealed, 27)
    return int(time_ms)


def read(sealed: bytes) -> list[tuple[bytes, bytes]]:
    batch = MemoryRecords(sealed).next_batch()
    assert batch is not None
    assert batch.validate_crc()
    return [(record.key, record.value) for record in batch]


def test_a_batch_has_the_very_bytes_of_another_client() -> None:
    written = rows()

    (batch,) = batches_of(lane(written), 10_000_000, "none")

    sealed = batch.sealed(7, 3, 11)
    assert sealed == theirs(written, time_of(sealed))


@pytest.mark.parametrize("compression", ["none", "snappy", "lz4", "zstd"])
def test_another_client_reads_what_was_packed(compression: Compression) -> None:
    written = rows()

    (batch,) = batches_of(lane(written), 10_000_000, compression)

    sealed = batch.sealed(1, 0, 0)
    assert read(sealed) == [(row.stream.encode(), row.event) for row in written]
    (attributes,) = struct.unpack_from(">h", sealed, 21)
    assert attributes == ["none", "gzip", "snappy", "lz4", "zstd"].index(compression)


def test_what_packing_makes_no_smaller_goes_as_it_is() -> None:
    (batch,) = batches_of(lane([OutboxRow(1, 0, 1, "s", b"x")]), 1_000, "zstd")

    (attributes,) = struct.unpack_from(">h", batch.sealed(1, 0, 0), 21)

    assert attributes == 0


@pytest.mark.parametrize("limit", [1, 300, 1_000, 5_000, 9_000, 100_000])
def test_batches_keep_their_limit_unless_one_event_is_larger(limit: int) -> None:
    written = rows(SIZES * 3)

    batches = batches_of(lane(written), limit, "none")

    sealed = [batch.sealed(1, 0, 0) for batch in batches]
    assert all(len(s) <= limit or b.count == 1 for s, b in zip(sealed, batches, strict=True))
    assert [record for s in sealed for record in read(s)] == [
        (row.stream.encode(), row.event) for row in written
    ]
    for batch, behind in pairwise(batches):
        assert together_bytes(batch, behind, written) + OVERHEAD_BYTES > limit - 150


def together_bytes(batch: RecordBatch, behind: RecordBatch, written: list[OutboxRow]) -> int:
    """Return what a batch would hold with the first event behind it."""
    first = written[behind.seq - 1]
    return batch.records_bytes + len(first.event) + len(first.stream.encode())


def test_a_batch_says_where_it_begins() -> None:
    written = rows([100] * 30)

    batches = batches_of(lane(written), 1_000, "none")

    assert len(batches) > 2
    assert sum(batch.count for batch in batches) == 30
    seq = 1
    for batch in batches:
        assert (batch.partition, batch.seq, batch.stream) == (2, seq, f"account/ä-{seq}")
        assert batch.event_bytes == 100
        seq += batch.count


def test_rows_come_apart_by_lane_in_order() -> None:
    mixed = [OutboxRow(n, n % 3, n // 3 + 5, f"s/{n}", b"%d" % n) for n in range(1, 20)]

    lanes = {found.partition: found for found in lanes_of(columns_of(mixed))}

    for partition in range(3):
        wanted = [row for row in mixed if row.partition == partition]
        assert lanes[partition].events == [row.event for row in wanted]
        assert lanes[partition].streams == [row.stream for row in wanted]
        assert lanes[partition].seq == wanted[0].seq
