from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from projector.batch import EventUnreadable, Handler, newest_heads
from projector.lanes import LaneBook
from schemas import envelope
from schemas.domain import Domain, Kind
from schemas.lane import CONTROL_PARTITION, SequenceGap
from schemas.tables import Change, Insert, Patch, Upsert
from tests.domains.ledger import ACCOUNT, ACCOUNTS, DOMAIN, READING, READINGS
from tests.projector.app import OPENED, App, accounts_in, record, records

TOPIC = "log.1"
A, B, C = accounts_in(0, 3)


def log_of(app: App) -> list[ConsumerRecord[bytes, bytes]]:
    app.open(A, B)
    app.deposit(A, 5)
    app.open(C)
    return records(app.rows(), TOPIC)[0]


def handler(domain: Domain = DOMAIN) -> Handler:
    return Handler(domain, LaneBook(1, {}, {"app-1"}))


def with_project(project: Any) -> Domain:
    changed = {name: getattr(ACCOUNT, name) for name in Kind.__dataclass_fields__}
    return Domain("ledger", (Kind(**changed | {"project": project}), READING), DOMAIN.ddl)


def test_records_become_changes_with_their_place_and_their_lanes_head(app: App) -> None:
    log = log_of(app)

    segment = handler().segment(0, 0, log, None)

    assert (segment.partition, segment.old_offset, segment.new_offset) == (0, 0, 4)
    assert segment.stopped is None
    assert [item.offset for item in segment.items] == [0, 1, 2, 3]
    assert [item.head.seq for item in segment.items] == [1, 2, 3, 4]
    assert segment.items[2].changes == (Patch(ACCOUNTS, (A,), {"balance": 5}),)
    assert segment.items[3].head.digest == envelope.digest(log[3].value or b"")


def test_duplicates_move_the_offset_and_are_no_items(app: App) -> None:
    log = log_of(app)
    again = [record(TOPIC, 0, 4 + place, found.value) for place, found in enumerate(log)]

    segment = handler().segment(0, 0, [*log, *again], None)

    assert len(segment.items) == 4
    assert segment.new_offset == 8


def test_a_segment_ends_before_the_offset_it_may_go_to(app: App) -> None:
    segment = handler().segment(0, 0, log_of(app), 2)

    assert [item.offset for item in segment.items] == [0, 1]
    assert segment.new_offset == 2
    assert segment.stopped is None


def test_a_barrier_moves_the_lane_and_changes_no_table(app: App) -> None:
    app.barrier("b-1")

    (found,) = records(app.rows(), TOPIC)[0]

    (item,) = handler().segment(0, 0, [found], None).items
    assert item.changes == ()
    assert item.head.seq == 1


def test_a_hole_ends_the_segment_before_it(app: App) -> None:
    first, second, _, fourth = log_of(app)

    segment = handler().segment(0, 0, [first, second, fourth], None)

    assert isinstance(segment.stopped, SequenceGap)
    assert [item.offset for item in segment.items] == [0, 1]
    assert segment.new_offset == 2


def doctored(log: list[ConsumerRecord[bytes, bytes]], place: int, **changes: Any) -> list[Any]:
    """The records up to one, which has other attributes; its own chain still fits."""
    content = msgspec.json.decode(log[place].value or b"")
    altered = msgspec.json.encode(content | changes)
    return [*log[:place], record(TOPIC, 0, place, altered)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"type": "ledger.account.renamed.v1"}, "no kind has an event of type"),
        ({"data": {"account": 5}}, "does not fit its type"),
        ({"data": None}, "does not fit its type"),
        ({"data": {"account": "x", "amount": "1", "balance": "much"}}, "does not fit its type"),
    ],
)
def test_an_event_that_cannot_be_read_ends_the_segment_and_says_where(
    app: App, changes: dict[str, Any], said: str
) -> None:
    log = doctored(log_of(app), 2, **changes)

    segment = handler().segment(0, 0, log, None)

    assert isinstance(segment.stopped, EventUnreadable)
    assert said in segment.stopped.what
    assert segment.stopped.where == "lane app-1/g1/p0, seq 3, partition 0, offset 2"
    assert segment.stopped.remedy
    assert [item.offset for item in segment.items] == [0, 1]


def test_data_nested_too_deep_ends_the_segment(app: App) -> None:
    log = log_of(app)
    deep = (log[3].value or b"").partition(b'"data":')[0] + b'"data":' + b"[" * 200_000

    segment = handler().segment(0, 0, [*log[:3], record(TOPIC, 0, 3, deep)], None)

    assert segment.stopped is not None
    assert segment.new_offset == 3


def test_a_handler_that_fails_ends_the_segment_and_names_the_event(app: App) -> None:
    def project(event: msgspec.Struct) -> tuple[Change, ...]:
        raise ZeroDivisionError("a bug in a handler")

    segment = handler(with_project(project)).segment(0, 0, log_of(app), None)

    assert segment.stopped is not None
    assert "a bug in a handler" in segment.stopped.what
    assert segment.stopped.where == "lane app-1/g1/p0, seq 1, partition 0, offset 0"


def test_the_newest_head_of_each_lane_counts(app: App) -> None:
    app.open(A, B, *accounts_in(2, 1))
    log = records(app.rows(), TOPIC)
    handle = handler()

    items = [item for p in (0, 2) for item in handle.segment(p, 0, log[p], None).items]

    assert {lane.partition: head.seq for lane, head in newest_heads(items).items()} == {0: 2, 2: 1}


def test_every_kind_of_the_domain_is_handled(app: App) -> None:
    app.open(A)
    app.read("m", 1, "2.5")
    log, handle = records(app.rows(), TOPIC), handler()

    changes = [
        change
        for partition in sorted(log.keys() - {CONTROL_PARTITION})
        for item in handle.segment(partition, 0, log[partition], None).items
        for change in item.changes
    ]

    assert Insert(ACCOUNTS, (A, "Ada", 0, OPENED, {})) in changes
    assert Upsert(READINGS, ("m", 1, Decimal("2.5"))) in changes
