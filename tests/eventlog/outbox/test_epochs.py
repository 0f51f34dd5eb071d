"""The epoch of a lane never falls, asked of every outbox there is."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.outbox.contract import Outbox, OutboxRow
from schemas import envelope
from tests.eventlog.app import IDENTITY, require_whole_lanes
from tests.eventlog.outbox.appender import OUTBOXES, Item

Open = Callable[[], Outbox]


@pytest.fixture(params=OUTBOXES)
def open_outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the outbox of this test, as often as the test wants."""
    kind = OUTBOXES[request.param]
    return lambda: kind(tmp_path / "outbox", IDENTITY)


def epochs(rows: list[OutboxRow]) -> list[int]:
    return [envelope.decode(row.event).epoch for row in rows]


def test_an_epoch_holds_in_its_lane_from_the_event_that_raises_it(open_outbox: Open) -> None:
    outbox = open_outbox()

    outbox.append([Item(0, "a", "a"), Item(0, "b", "b", 7), Item(1, "c", "c"), Item(0, "d", "d")])
    outbox.append([Item(0, "e", "e"), Item(1, "f", "f")])

    rows = outbox.rows(0, 1_000)
    assert epochs(rows) == [1, 7, 1, 7, 7, 1]
    assert {partition: head.epoch for partition, head in outbox.heads().items()} == {0: 7, 1: 1}
    require_whole_lanes(rows)
    outbox.close()


def test_an_epoch_is_kept_by_an_outbox_that_is_opened_again(open_outbox: Open) -> None:
    outbox = open_outbox()
    outbox.append([Item(0, "a", "a", 7)])
    outbox.close()

    outbox = open_outbox()
    outbox.append([Item(0, "b", "b"), Item(0, "c", "c", 3)])

    assert epochs(outbox.rows(0, 1_000)) == [7, 7, 7]
    assert outbox.heads()[0].epoch == 7
    outbox.close()


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=6)),
    st.integers(1, 3),
)
@pytest.mark.parametrize("kind", OUTBOXES.values(), ids=OUTBOXES)
def test_whatever_epochs_are_asked_for_a_lane_has_the_highest_so_far(
    kind: Any, batches: list[list[tuple[int, int]]], reopen_every: int
) -> None:
    with TemporaryDirectory() as place:
        outbox = kind(Path(place) / "outbox", IDENTITY)
        for number, batch in enumerate(batches):
            outbox.append([Item(partition, "s", "", epoch) for partition, epoch in batch])
            if number % reopen_every == 0:
                outbox.close()
                outbox = kind(Path(place) / "outbox", IDENTITY)

        highest = dict.fromkeys(range(3), 1)
        wanted = []
        for partition, epoch in (place for batch in batches for place in batch):
            highest[partition] = max(highest[partition], epoch)
            wanted.append(highest[partition])
        rows = outbox.rows(0, 1_000)
        assert epochs(rows) == wanted
        require_whole_lanes(rows)
        outbox.close()
