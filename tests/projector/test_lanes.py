import msgspec
import pytest
from aiokafka.structs import ConsumerRecord
from hypothesis import example, given
from hypothesis import strategies as st

from projector.lanes import ForeignSource, LaneBook, RecordRefused
from schemas import envelope
from schemas.errors import FerryError
from schemas.lane import ChainBroken, LaneHead, LaneId, SequenceGap
from tests.projector.app import App, accounts_in, record, records

TOPIC = "log.1"


def lane_records(app: App, count: int = 4) -> list[ConsumerRecord[bytes, bytes]]:
    app.open(*accounts_in(1, count))
    return records(app.rows(), TOPIC)[1]


def book(app: App) -> LaneBook:
    return LaneBook(1, {}, {app.settings.source})


def test_a_lane_is_admitted_record_by_record(app: App) -> None:
    log = lane_records(app)
    lanes = book(app)

    admitted = [lanes.admit(found) for found in log]

    assert [check.lane for _, check in filter(None, admitted)] == [LaneId("app-1", 1, 1)] * 4
    assert [event.seq for event, _ in filter(None, admitted)] == ["1", "2", "3", "4"]
    assert lanes.duplicates == 0


def test_records_that_come_again_are_counted_and_not_admitted(app: App) -> None:
    log = lane_records(app)
    lanes = book(app)
    for found in log:
        lanes.admit(found)

    again = [lanes.admit(found) for found in log]

    assert again == [None] * 4
    assert lanes.duplicates == 4


def test_a_lane_goes_on_from_its_applied_head(app: App) -> None:
    log = lane_records(app)
    second = log[1].value
    assert second is not None
    lane = LaneId("app-1", 1, 1)
    lanes = LaneBook(1, {lane: LaneHead(2, envelope.digest(second), 1)}, {"app-1"})

    admitted = [lanes.admit(found) is not None for found in log]

    assert admitted == [False, False, True, True]


def test_a_lane_moved_to_another_partition_is_not_taken_for_that_partitions_lane(app: App) -> None:
    (first, *_) = lane_records(app)

    with pytest.raises(ChainBroken) as broken:
        book(app).admit(record(TOPIC, 2, 0, first.value))

    assert broken.value.where == "lane app-1/g1/p2, seq 1, partition 2, offset 0"


def test_a_refused_record_leaves_the_lane_where_it_was(app: App) -> None:
    first, second, third, _ = lane_records(app)
    lanes = book(app)
    lanes.admit(first)

    with pytest.raises(SequenceGap):
        lanes.admit(third)

    assert lanes.admit(second) is not None


def test_an_unregistered_source_is_refused_until_it_is_known(app: App) -> None:
    (first, *_) = lane_records(app)
    lanes = LaneBook(1, {}, {"app-2"})

    with pytest.raises(ForeignSource) as refused:
        lanes.admit(first)
    lanes.sources.add("app-1")

    assert refused.value.where == "lane app-1/g1/p1, seq 1, partition 1, offset 0"
    assert "'app-1' is not registered" in refused.value.what
    assert lanes.admit(first) is not None


@given(value=st.none() | st.binary(max_size=200))
@example(value=b"[" * 100_000)
@example(value=b'{"data":' + b'{"a":' * 100_000)
@example(value=b"\xff\xfe")
@example(value=b'{"specversion":"1.0"}')
def test_no_bytes_whatever_are_more_than_a_refused_record(value: bytes | None) -> None:
    with pytest.raises(RecordRefused) as refused:
        LaneBook(1, {}, {"app-1"}).admit(record(TOPIC, 1, 7, value))

    assert refused.value.where == "topic log.1, partition 1, offset 7"
    assert refused.value.remedy


attributes = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0") | st.text(max_size=3),
        "seq": st.integers(-5, 5).map(str) | st.text(max_size=5) | st.just("9" * 5000),
        "source": st.sampled_from(["app-1", "other"]),
        "epoch": st.integers(-1, 2) | st.text(max_size=2),
        "chain": st.text(max_size=64),
        "data": st.none() | st.integers() | st.lists(st.text(), max_size=2),
    }
)


@given(content=attributes)
def test_an_envelope_with_any_content_is_refused_by_name_or_skipped(content: object) -> None:
    fixed = {"id": "1", "type": "t", "subject": "s", "time": "now"}
    value = msgspec.json.encode(fixed | content if isinstance(content, dict) else fixed)
    lanes = LaneBook(1, {}, {"app-1"})

    refused: FerryError | None = None
    try:
        admitted = lanes.admit(record(TOPIC, 0, 3, value))
    except FerryError as error:
        refused, admitted = error, None

    assert admitted is None
    if refused is not None:
        assert "partition 0, offset 3" in refused.where
        assert refused.remedy
