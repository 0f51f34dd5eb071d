import pytest
from msgspec.structs import replace

from compose.trading_app.desk import Desk
from schemas.domain import TransitionRefused
from tests.compose.trading_app.trading import trade


def test_a_refused_event_changes_nothing() -> None:
    desk, events = trade(10)
    before = {kind: desk.recording.entities(kind) for kind in desk.recording.stores}

    with pytest.raises(TransitionRefused):
        desk.recording.record((events[0],))

    assert {kind: desk.recording.entities(kind) for kind in desk.recording.stores} == before


def test_followers_see_memory_after_the_change() -> None:
    desk, events = Desk(), trade(10).events
    seen = []
    desk.recording.tell([type(events[0])], lambda event: seen.append(desk.market.price("AAPL")))

    desk.recording.record((events[0],))

    assert seen == [desk.market.rings["AAPL"][-1].close]


def test_counts_are_of_the_entities_in_memory() -> None:
    recording = trade(500).desk.recording

    assert all(
        recording.count(kind) == len(recording.entities(kind)) > 0 for kind in recording.stores
    )
    assert recording.events > 500


def test_nothing_waits_for_acknowledgement_before_the_shim_is_attached() -> None:
    assert trade(50).desk.recording.take_recorded() == []


def test_a_bar_that_comes_late_keeps_its_key_to_itself() -> None:
    desk, events = trade(1)
    bar = events[0]

    with pytest.raises(TransitionRefused):
        desk.recording.record((replace(bar, volume=1),))
