"""What a lane's check admits, skips and stops at."""

from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import envelope
from schemas.lane import (
    ChainBroken,
    DuplicateDiffers,
    EpochFell,
    LaneBroken,
    LaneCheck,
    LaneHead,
    LaneId,
    SequenceGap,
    genesis,
    partition_of,
)

LANE = LaneId("app-1", 1, 2)
WRITER = envelope.HeadWriter(LANE.source, "ledger.account.opened.v1")


class Event(NamedTuple):
    """A record of the lane."""

    value: bytes
    seq: int
    epoch: int
    chain: str


def event(seq: int, chain: str, epoch: int = 1, content: str = "") -> Event:
    head = WRITER.head("account/a", f"id-{seq}", seq)
    data = b'{"content":"%b"}' % content.encode()
    return Event(envelope.seal(head, data, seq, epoch, chain), seq, epoch, chain)


def run_of(count: int, *, after: Event | None = None, content: str = "") -> list[Event]:
    events: list[Event] = []
    seq = after.seq if after else 0
    chain = envelope.digest(after.value) if after else genesis(LANE).digest
    for number in range(seq + 1, seq + count + 1):
        events.append(event(number, chain, content=content))
        chain = envelope.digest(events[-1].value)
    return events


def admit(check: LaneCheck, found: Event, offset: int = 0) -> bool:
    return check.admit(found.value, found.seq, found.epoch, found.chain, offset)


def check_after(events: list[Event]) -> LaneCheck:
    check = LaneCheck(LANE, genesis(LANE))
    assert all(admit(check, found) for found in events)
    return check


def require_stop(check: LaneCheck, found: Event, error: type[LaneBroken], offset: int) -> None:
    """Demand that the record stops the lane, that the error says where, and that nothing moved."""
    before = check.head

    with pytest.raises(error) as caught:
        admit(check, found, offset)

    assert (caught.value.lane, caught.value.seq, caught.value.offset) == (LANE, found.seq, offset)
    assert f"lane app-1/g1/p2, seq {found.seq}, partition 2, offset {offset}" in str(caught.value)
    assert caught.value.remedy
    assert check.head == before


def test_a_lane_that_continues_is_admitted_event_by_event() -> None:
    events = run_of(5)

    check = check_after(events)

    assert check.head == LaneHead(5, envelope.digest(events[-1].value), 1)
    assert check.duplicates == 0


def test_a_lane_goes_on_from_a_head_that_was_kept() -> None:
    events = run_of(5)
    kept = check_after(events[:3]).head

    check = LaneCheck(LANE, kept)

    assert admit(check, events[3])
    assert check.head.seq == 4


def test_a_gap_stops_the_lane_and_names_what_is_missing() -> None:
    events = run_of(6)
    check = check_after(events[:2])

    require_stop(check, events[5], SequenceGap, 31)

    with pytest.raises(SequenceGap, match="events 3 to 5 are missing"):
        admit(check, events[5])


def test_a_first_event_that_is_missing_is_a_gap() -> None:
    require_stop(LaneCheck(LANE, genesis(LANE)), run_of(2)[1], SequenceGap, 0)


def test_a_swapped_pair_stops_the_lane_at_the_first_of_them() -> None:
    events = run_of(4)
    check = check_after(events[:1])

    require_stop(check, events[2], SequenceGap, 1)


def test_a_pair_that_swapped_its_numbers_too_breaks_the_chain() -> None:
    events = run_of(4)
    check = check_after(events[:1])
    forged = event(2, events[2].chain, content="third")

    require_stop(check, forged, ChainBroken, 1)


def test_an_altered_byte_breaks_the_chain_at_the_next_event() -> None:
    events = run_of(3)
    altered = events[1]._replace(value=events[1].value.replace(b"id-2", b"id-9"))
    check = check_after([events[0], altered])

    require_stop(check, events[2], ChainBroken, 2)


def test_a_lane_passed_off_as_another_breaks_the_chain_at_once() -> None:
    other = LaneId("app-1", 1, 0)

    require_stop(LaneCheck(LANE, genesis(LANE)), event(1, genesis(other).digest), ChainBroken, 0)


def test_after_a_stop_the_right_event_is_still_admitted() -> None:
    events = run_of(3)
    check = check_after(events[:1])
    require_stop(check, events[2], SequenceGap, 1)

    assert admit(check, events[1])
    assert admit(check, events[2])


def test_an_epoch_may_rise_and_may_not_fall() -> None:
    first = event(1, genesis(LANE).digest, epoch=1)
    second = event(2, envelope.digest(first.value), epoch=3)
    third = event(3, envelope.digest(second.value), epoch=2)
    check = check_after([first, second])

    require_stop(check, third, EpochFell, 2)

    assert check.head.epoch == 3


@pytest.mark.parametrize("first", range(5))
def test_a_run_of_duplicates_up_to_the_last_event_is_skipped(first: int) -> None:
    events = run_of(5)
    check = check_after(events)

    again = [admit(check, found) for found in events[first:]]

    assert not any(again)
    assert check.duplicates == len(again)
    assert check.head.seq == 5
    assert admit(check, run_of(1, after=events[-1])[0])


def test_a_run_of_duplicates_that_begins_again_is_skipped() -> None:
    events = run_of(5)
    check = check_after(events)

    again = [admit(check, events[number]) for number in (1, 2, 0, 1, 2, 3, 4, 4)]

    assert not any(again)
    assert check.duplicates == 8


def test_a_forged_duplicate_of_the_last_event_is_found() -> None:
    events = run_of(4)
    forged = event(4, events[3].chain, content="forged")

    require_stop(check_after(events), forged, DuplicateDiffers, 9)


def test_a_forged_run_of_duplicates_is_found_when_it_reaches_the_last_event() -> None:
    events = run_of(5)
    check = check_after(events)
    forged = run_of(4, after=events[0], content="forged")

    assert not any([admit(check, found) for found in forged[:3]])

    require_stop(check, forged[3], DuplicateDiffers, 9)


def test_a_forged_event_within_a_run_is_found_at_the_true_one_behind_it() -> None:
    events = run_of(5)
    check = check_after(events)
    assert not admit(check, events[1])
    assert not admit(check, event(3, events[2].chain, content="forged"))

    require_stop(check, events[3], DuplicateDiffers, 8)


def test_a_duplicate_that_does_not_continue_its_run_is_found() -> None:
    events = run_of(5)
    check = check_after(events)
    assert not admit(check, events[1])

    require_stop(check, event(3, "00" * 32), DuplicateDiffers, 8)


def test_a_run_that_begins_again_is_followed_from_there() -> None:
    events = run_of(5)
    check = check_after(events)
    for number in (1, 2, 0):
        assert not admit(check, events[number])

    require_stop(check, event(2, "00" * 32), DuplicateDiffers, 8)


@given(st.integers(1, 12), st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=8))
def test_whatever_is_sent_again_every_event_is_admitted_once(
    count: int, sends: list[tuple[int, int]]
) -> None:
    events = run_of(count)
    log: list[Event] = []
    sent = 0
    for first, length in [*sends, (sent, count)]:
        log += events[min(first, sent) :][:length]
        sent = max((found.seq for found in log), default=0)
    log += events[sent:]
    check = LaneCheck(LANE, genesis(LANE))

    admitted = [found.seq for offset, found in enumerate(log) if admit(check, found, offset)]

    assert admitted == list(range(1, count + 1))
    assert check.duplicates == len(log) - count


def test_a_stream_keeps_its_partition_for_ever() -> None:
    streams = ["trade/T-17", "account/日本", "", "portfolio/main"]

    assert [partition_of(stream, 4) for stream in streams] == [3, 0, 0, 1]
    assert {partition_of(stream, 1) for stream in streams} == {0}


def test_streams_spread_over_all_partitions() -> None:
    spread = Counter(partition_of(f"account/{number}", 8) for number in range(8_000))

    assert sorted(spread) == list(range(8))
    assert min(spread.values()) > 800


@pytest.mark.parametrize(
    "other",
    [LANE._replace(source="app-2"), LANE._replace(generation=2), LANE._replace(partition=0)],
)
def test_every_lane_begins_with_a_digest_of_its_own(other: LaneId) -> None:
    assert genesis(other).digest != genesis(LANE).digest
    assert genesis(LANE) == LaneHead(
        0, "dfd6f4f0c87f789a0c553e7c21c61d9ea3db29f1e587a55c7226bf7ab7630d24", 0
    )
