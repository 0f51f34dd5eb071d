from decimal import Decimal
from typing import Any

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from projector.batch import Handler, Segment
from projector.effects import EventTypeUnknown, EventUnreadable, HandlerFailed
from projector.lanes import LaneBook
from schemas import envelope
from schemas.domain import Domain, Kind
from schemas.lane import CONTROL_PARTITION, LaneId, SequenceGap
from schemas.tables import Change, Insert, Patch, Upsert
from tests.domains.ledger import ACCOUNT, ACCOUNTS, DOMAIN, READING, READINGS
from tests.projector.app import OPENED, App, accounts_in, record, records

TOPIC = "log.1"
LANE = LaneId("app-1", 1, 0)
A, B, C = accounts_in(0, 3)


def log_of(app: App) -> list[ConsumerRecord[bytes, bytes]]:
    app.open(A, B)
    app.deposit(A, 5)
    app.open(C)
    return records(app.rows(), TOPIC)[0]


def handler(domain: Domain = DOMAIN) -> Handler:
    return Handler(domain, LaneBook(1, {}, {"app-1"}))


def offsets(segment: Segment) -> list[int]:
    return [found.offset for found, _ in segment.items]


def with_project(project: Any) -> Domain:
    changed = {name: getattr(ACCOUNT, name) for name in Kind.__dataclass_fields__}
    return Domain("ledger", (Kind(**changed | {"project": project}), READING), DOMAIN.ddl)


def test_records_become_changes_with_their_place_and_the_lane_goes_on(app: App) -> None:
    log = log_of(app)

    segment = handler().segment(0, 0, log, None)

    assert (segment.partition, segment.old_offset, segment.new_offset) == (0, 0, 4)
    assert segment.stopped is None
    assert offsets(segment) == [0, 1, 2, 3]
    assert segment.items[2][1] == (Patch(ACCOUNTS, (A,), {"balance": 5}),)
    assert segment.heads[LANE].seq == 4
    assert segment.heads[LANE].digest == segment.tail == envelope.digest(log[3].value or b"")
    assert segment.newest == msgspec.json.decode(log[3].value or b"")["time"]


def test_duplicates_move_the_offset_and_are_no_items(app: App) -> None:
    log = log_of(app)
    again = [record(TOPIC, 0, 4 + place, found.value) for place, found in enumerate(log)]

    segment = handler().segment(0, 0, [*log, *again], None)

    assert len(segment.items) == 4
    assert segment.new_offset == 8


def test_a_segment_ends_before_the_offset_it_may_go_to(app: App) -> None:
    segment = handler().segment(0, 0, log_of(app), 2)

    assert offsets(segment) == [0, 1]
    assert segment.new_offset == 2
    assert segment.stopped is None


def test_a_barrier_moves_the_lane_and_changes_no_table(app: App) -> None:
    app.barrier("b-1")

    (found,) = records(app.rows(), TOPIC)[0]

    segment = handler().segment(0, 0, [found], None)

    assert [changes for _, changes in segment.items] == [()]
    assert segment.heads[LANE].seq == 1


def test_a_hole_ends_the_segment_before_it(app: App) -> None:
    first, second, _, fourth = log_of(app)

    segment = handler().segment(0, 0, [first, second, fourth], None)

    assert isinstance(segment.stopped, SequenceGap)
    assert offsets(segment) == [0, 1]
    assert segment.new_offset == 2


def doctored(
    log: list[ConsumerRecord[bytes, bytes]], place: int, **changes: Any
) -> list[ConsumerRecord[bytes, bytes]]:
    """The records up to one, which has other attributes; its own chain still fits."""
    content = msgspec.json.decode(log[place].value or b"")
    altered = msgspec.json.encode(content | changes)
    return [*log[:place], record(TOPIC, 0, place, altered)]


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"type": "ledger.account.renamed.v1"}, EventTypeUnknown, "no kind has an event of type"),
        ({"data": {"account": 5}}, EventUnreadable, "does not fit its type"),
        ({"data": None}, EventUnreadable, "does not fit its type"),
        (
            {"data": {"account": "x", "amount": "1", "balance": "much"}},
            EventUnreadable, "does not fit its type",
        ),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_read_is_refused_and_its_lane_goes_on(
    app: App, changes: dict[str, Any], error: type[Exception], said: str
) -> None:
    log = doctored(log_of(app), 2, **changes)

    segment = handler().segment(0, 0, log, None)

    assert segment.stopped is None
    assert [type(found) for found in segment.refused.values()] == [error]
    assert said in segment.refused[2].what
    assert segment.refused[2].remedy
    assert segment.items[2] == (log[2], ())
    assert segment.new_offset == segment.heads[LANE].seq == 3
    assert segment.unknown == ({changes["type"]} if "type" in changes else set())


def test_data_nested_too_deep_ends_the_segment(app: App) -> None:
    log = log_of(app)
    deep = (log[3].value or b"").partition(b'"data":')[0] + b'"data":' + b"[" * 200_000

    segment = handler().segment(0, 0, [*log[:3], record(TOPIC, 0, 3, deep)], None)

    assert segment.stopped is not None
    assert segment.new_offset == 3


def test_a_handler_that_fails_refuses_its_event(app: App) -> None:
    def project(event: msgspec.Struct) -> tuple[Change, ...]:
        raise ZeroDivisionError("a bug in a handler")

    segment = handler(with_project(project)).segment(0, 0, log_of(app), None)

    assert segment.stopped is None
    assert list(segment.refused) == [0, 1, 2, 3]
    assert isinstance(segment.refused[0], HandlerFailed)
    assert "a bug in a handler" in segment.refused[0].what


def test_an_envelope_written_by_another_hand_is_read_all_the_same(app: App) -> None:
    log = log_of(app)
    turned = [dict(reversed(msgspec.json.decode(found.value or b"").items())) for found in log[:1]]
    other = record(TOPIC, 0, 0, msgspec.json.encode(turned[0]))

    segment = handler().segment(0, 0, [other], None)

    assert segment.items[0][1] == handler().segment(0, 0, log[:1], None).items[0][1]


def test_another_specversion_ends_the_segment(app: App) -> None:
    log = doctored(log_of(app), 1, specversion="1.1")

    segment = handler().segment(0, 0, log, None)

    assert "specversion" in str(segment.stopped)
    assert offsets(segment) == [0]


def test_every_kind_of_the_domain_is_handled(app: App) -> None:
    app.open(A)
    app.read("m", 1, "2.5")
    log, handle = records(app.rows(), TOPIC), handler()

    changes = [
        change
        for partition in sorted(log.keys() - {CONTROL_PARTITION})
        for _, found in handle.segment(partition, 0, log[partition], None).items
        for change in found
    ]

    assert Insert(ACCOUNTS, (A, "Ada", 0, OPENED, {})) in changes
    assert Upsert(READINGS, ("m", 1, Decimal("2.5"))) in changes
