"""What every outbox promises, asked of every outbox there is."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eventlog.outbox.contract import Outbox, OutboxIdentity, OutboxInUse, OutboxInvalid, OutboxRow
from schemas import envelope
from schemas.lane import CONTROL_PARTITION, LaneId, genesis
from tests.eventlog.app import IDENTITY, require_whole_lanes
from tests.eventlog.outbox.appender import OUTBOXES, Item

Open = Callable[..., Outbox]


@pytest.fixture(params=OUTBOXES)
def open_outbox(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Open the outbox of this test, as often as the test wants."""
    kind = OUTBOXES[request.param]
    return lambda identity=IDENTITY: kind(tmp_path / "outbox", identity)


def items(*places: tuple[int, str]) -> list[Item]:
    return [Item(partition, f"account/{name}", name) for partition, name in places]


def everything(outbox: Outbox) -> list[OutboxRow]:
    return outbox.rows(0, 1_000_000)


def test_a_new_outbox_is_empty(open_outbox: Open) -> None:
    outbox = open_outbox()

    assert outbox.identity == IDENTITY
    assert (outbox.last_row(), dict(outbox.heads()), everything(outbox)) == (0, {}, [])
    outbox.close()


def test_each_lane_counts_from_one_and_is_chained_from_its_own_name(open_outbox: Open) -> None:
    outbox = open_outbox()
    first = items((0, "a"), (2, "b"), (0, "c"))
    second = items((0, "d"), (CONTROL_PARTITION, "e"), (2, "f"))

    outbox.append(first)
    outbox.append(second)

    rows = everything(outbox)
    assert [(row.partition, row.seq) for row in rows] == [
        (0, 1), (2, 1), (0, 2), (0, 3), (CONTROL_PARTITION, 1), (2, 2),
    ]  # fmt: skip
    assert [item.seq for item in first + second] == [row.seq for row in rows]
    assert envelope.decode(rows[0].event).chain == genesis(LaneId("app-1", 1, 0)).digest
    assert envelope.decode(rows[2].event).chain == envelope.digest(rows[0].event)
    require_whole_lanes(rows)
    outbox.close()


def test_heads_are_the_last_event_of_each_lane(open_outbox: Open) -> None:
    outbox = open_outbox()

    outbox.append(items((0, "a"), (2, "b"), (0, "c")))

    newest = {row.partition: row for row in everything(outbox)}
    assert {p: (h.seq, h.digest) for p, h in outbox.heads().items()} == {
        p: (row.seq, envelope.digest(row.event)) for p, row in newest.items()
    }
    assert outbox.last_row() == 3
    outbox.close()


def test_rows_are_given_in_commit_order_from_behind_a_row(open_outbox: Open) -> None:
    outbox = open_outbox()
    outbox.append(items(*((number % 3, str(number)) for number in range(10))))

    found = outbox.rows(3, 4)

    assert [row.row for row in found] == [4, 5, 6, 7]
    assert [row.stream for row in found] == [f"account/{n}" for n in range(3, 7)]
    assert outbox.rows(10, 4) == []
    outbox.close()


def test_an_append_that_fails_leaves_nothing_and_the_next_one_continues(open_outbox: Open) -> None:
    outbox = open_outbox()
    outbox.append(items((0, "a")))
    heads = outbox.heads()
    broken: list[Any] = items((0, "b"), (1, "c"), (0, "d"))
    broken[2].stream = object()

    with pytest.raises(TypeError):
        outbox.append(broken)

    assert (outbox.heads(), outbox.last_row(), len(everything(outbox))) == (heads, 1, 1)
    outbox.append(items((0, "e"), (1, "f")))
    assert [row.stream for row in everything(outbox)] == ["account/a", "account/e", "account/f"]
    require_whole_lanes(everything(outbox))
    outbox.close()


def test_everything_is_there_again_after_closing_and_opening(open_outbox: Open) -> None:
    outbox = open_outbox()
    outbox.append(items((0, "a"), (2, "b"), (CONTROL_PARTITION, "c")))
    before = (everything(outbox), outbox.heads(), outbox.last_row())
    outbox.close()

    outbox = open_outbox()

    assert (everything(outbox), outbox.heads(), outbox.last_row()) == before
    outbox.append(items((0, "d"), (1, "e")))
    require_whole_lanes(everything(outbox))
    outbox.close()


def test_closing_again_does_no_harm(open_outbox: Open) -> None:
    outbox = open_outbox()
    outbox.close()
    other = open_outbox()

    outbox.close()

    with pytest.raises(OutboxInUse):
        open_outbox()
    other.close()


def test_there_is_one_writer_and_the_second_is_told_who_it_is(open_outbox: Open) -> None:
    outbox = open_outbox()

    with pytest.raises(OutboxInUse, match=f"process {os.getpid()} has the outbox") as caught:
        open_outbox()

    assert caught.value.where
    assert caught.value.remedy
    outbox.append(items((0, "a")))
    outbox.close()


@pytest.mark.parametrize(
    "other",
    [
        OutboxIdentity("app-2", "t", 1, 3),
        OutboxIdentity("app-1", "u", 1, 3),
        OutboxIdentity("app-1", "t", 2, 3),
        OutboxIdentity("app-1", "t", 1, 4),
    ],
)
def test_an_outbox_of_another_place_is_refused(open_outbox: Open, other: OutboxIdentity) -> None:
    open_outbox().close()

    with pytest.raises(OutboxInvalid, match="the outbox belongs to source 'app-1', topic 't'") as e:
        open_outbox(other)

    assert e.value.where
    assert e.value.remedy
    open_outbox().close()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.text(), st.text(max_size=300)), min_size=1, max_size=20))
@pytest.mark.parametrize("kind", OUTBOXES.values(), ids=OUTBOXES)
def test_rows_are_given_as_they_were_appended_whatever_they_hold(
    kind: Any, contents: list[tuple[str, str]]
) -> None:
    with TemporaryDirectory() as place:
        outbox = kind(Path(place) / "outbox", IDENTITY)

        outbox.append([Item(0, stream, content) for stream, content in contents])

        rows = everything(outbox)
        require_whole_lanes(rows)
        found = [
            (r.stream, json.loads(bytes(envelope.decode(r.event).data))["content"]) for r in rows
        ]
        assert found == contents
        outbox.close()


def test_a_chunk_of_large_events_is_bounded_in_bytes_and_nothing_is_passed_over(
    open_outbox: Open,
) -> None:
    outbox = open_outbox()
    outbox.append([Item(0, "account/a", "x" * 1_000_000) for _ in range(40)])
    outbox.append([Item(0, "account/a", "x" * 40_000_000), *items((0, "a"))])
    found: list[OutboxRow] = []

    while chunk := outbox.rows(len(found), 5_000):
        size = sum(len(row.event) for row in chunk)
        assert size < 32_000_000 or len(chunk) == 1
        found += chunk

    assert [row.row for row in found] == list(range(1, 43))
    outbox.close()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.lists(st.sampled_from([CONTROL_PARTITION, 0, 1, 2]), min_size=1, max_size=8)))
@pytest.mark.parametrize("kind", OUTBOXES.values(), ids=OUTBOXES)
def test_whatever_is_appended_the_lanes_are_whole(kind: Any, batches: list[list[int]]) -> None:
    with TemporaryDirectory() as place:
        outbox = kind(Path(place) / "outbox", IDENTITY)
        for batch in batches:
            outbox.append(items(*((partition, "a") for partition in batch)))
            if len(batch) % 3 == 0:
                outbox.close()
                outbox = kind(Path(place) / "outbox", IDENTITY)

        require_whole_lanes(everything(outbox))
        assert outbox.last_row() == sum(map(len, batches))
        outbox.close()


@pytest.mark.parametrize("groups", [1, 20, 60])
@pytest.mark.parametrize("name", OUTBOXES)
def test_a_killed_writer_leaves_every_event_that_it_acknowledged(
    name: str, groups: int, tmp_path: Path
) -> None:
    path = tmp_path / "outbox"
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.eventlog.outbox.appender", name, str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(groups)]

    writer.send_signal(signal.SIGKILL)

    said += writer.stdout.read().splitlines(keepends=True)
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    acknowledged = [line.split() for line in said if line.endswith("\n")]
    outbox = OUTBOXES[name](path, IDENTITY)
    rows = everything(outbox)
    require_whole_lanes(rows)
    assert len(acknowledged) >= groups
    assert {int(row): digest for row, digest in acknowledged}.items() <= {
        row.row: envelope.digest(row.event) for row in rows
    }.items()
    assert len(rows) % 5 == 0, "an append of five events is whole or not there"
    outbox.append(items((0, "after"), (1, "after")))
    require_whole_lanes(everything(outbox))
    outbox.close()
