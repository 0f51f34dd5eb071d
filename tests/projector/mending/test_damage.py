"""What a mend makes of a lane's records, and when one given by hand is no help."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from aiokafka.structs import ConsumerRecord

from projector.lanes import ForeignSource, LaneBook
from projector.mending.damage import propose, stops_at, stops_at_once
from schemas import envelope
from schemas.errors import FerryError
from schemas.lane import LaneHead, SequenceGap
from schemas.mend import Mend
from tests.projector.app import App, accounts_in, record, records
from tests.projector.voided import Written, deposited, opened

TOPIC = "log.1"
SOURCES = {"app-1"}
Log = list["ConsumerRecord[bytes, bytes]"]


def log_of(app: App, order: Sequence[int | bytes], count: int = 6) -> Log:
    """Events of partition 1, by their places in the lane, and bytes that are none."""
    app.open(*accounts_in(1, count))
    lane = records(app.rows(), TOPIC)[1]
    values = [lane[place].value if isinstance(place, int) else place for place in order]
    return [record(TOPIC, 1, offset, value) for offset, value in enumerate(values)]


def applied(log: Log, *mends: Mend) -> list[str]:
    """The numbers of the events that are admitted, with these mends."""
    lanes = LaneBook(1, {}, SOURCES, mends)
    return [found[0].seq for each in log if (found := lanes.admit(each)) is not None]


def stop(log: Log, *mends: Mend) -> tuple[int, FerryError]:
    found = stops_at(log, 1, {}, SOURCES, mends)
    assert found is not None
    return found


def continuing(log: Log, offset: int, **changes: Any) -> Mend:
    """The lane goes on with the record at an offset."""
    event = envelope.decode(bytes(log[offset].value or b""))
    head = LaneHead(int(event.seq) - 1, event.chain, event.epoch)
    made = Mend(1, 1, offset, source="app-1", continue_at=offset, head=head)
    return msgspec.structs.replace(made, **changes)


def test_a_lane_that_has_no_event_yet_goes_on_with_the_record_named(app: App) -> None:
    log = log_of(app, [2, 3])

    assert applied(log, continuing(log, 0)) == ["3", "4"]


def test_a_run_of_duplicates_does_not_reach_over_a_mended_place(app: App) -> None:
    log = log_of(app, [0, 1, 2, 0, 4, 1, 2, 5])

    assert applied(log, continuing(log, 4)) == ["1", "2", "3", "5", "6"]


def test_duplicates_before_a_mended_place_stay_counted(app: App) -> None:
    log = log_of(app, [0, 1, 0, 3])
    lanes = LaneBook(1, {}, SOURCES, [continuing(log, 3)])

    for each in log:
        lanes.admit(each)

    assert lanes.duplicates == 1


def test_lanes_put_back_before_a_mended_place_come_to_the_same(app: App) -> None:
    log = log_of(app, [0, 2, 3])
    lanes = LaneBook(1, {}, SOURCES, [continuing(log, 1)])
    first = [lanes.admit(each) is not None for each in log]

    lanes.rewind({}, [1])

    assert [lanes.admit(each) is not None for each in log] == first == [True] * 3


def test_a_mend_of_another_partition_or_generation_lets_nothing_go_on(app: App) -> None:
    log = log_of(app, [0, 2, 3])
    here = continuing(log, 1)

    for elsewhere in ({"partition": 2}, {"generation": 2}):
        place, error = stop(log, msgspec.structs.replace(here, **elsewhere))

        assert (place, type(error)) == (1, SequenceGap)


def test_no_mend_lets_a_source_go_on_that_never_registered(app: App) -> None:
    log = log_of(app, [2, 3])

    found = stops_at(log, 1, {}, {"app-2"}, [continuing(log, 0)])

    assert found is not None
    assert (found[0], type(found[1])) == (0, ForeignSource)


def test_what_is_proposed_names_the_events_that_are_lost(app: App) -> None:
    (only,) = propose(log_of(app, [0, 1, 4, 5]), 1, {}, SOURCES)

    assert (only.mend.continue_at, only.mend.ignore) == (2, ())
    assert only.effect == (
        "the lane goes on with event 5 at offset 2; "
        "events 3 to 4 are missing from the log: they are lost to tables and audits"
    )


def test_a_mend_by_hand_that_only_moves_the_stop_is_seen_as_no_help(app: App) -> None:
    log = log_of(app, [0, b"garbage", 2, 3])
    ignoring = Mend(1, 1, 1, ignore=(1,))

    assert stops_at_once(log, *stop(log, ignoring), 1)


@pytest.mark.parametrize("order", [[0, b"garbage", 1, 3, 4], [0, b"garbage", b"more", 1]])
def test_a_damage_further_on_does_not_speak_against_a_mend_by_hand(
    app: App, order: list[int | bytes]
) -> None:
    log = log_of(app, order)

    assert not stops_at_once(log, *stop(log, Mend(1, 1, 1, ignore=(1,))), 1)


def test_the_mark_of_a_void_is_no_damage_and_what_is_behind_it_is_found() -> None:
    account, *_ = accounts_in(0, 1)
    written = Written()
    written.record(*opened(account), deposited(account, 1, 1))
    written.void("v", {0: 1})
    written.record(deposited(account, 1, 1), deposited(account, 1, 2))
    log = written.log()[0]

    (found,) = propose([*log[:3], *log[4:]], 1, {}, SOURCES)

    assert (found.mend.at, found.mend.continue_at) == (4, 4)
    assert found.error == "events 4 to 4 are missing from the log"
