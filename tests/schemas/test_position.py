"""How a place in the log is written, read and compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.position import (
    Position,
    PositionInvalid,
    control_topic,
    format_offsets,
    kafka_topic,
    parse_offsets,
)


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=8))
def test_what_was_written_is_read(offsets: list[int]) -> None:
    numbered = dict(enumerate(offsets))

    assert parse_offsets(format_offsets(numbered), len(offsets)) == numbered


def test_partitions_are_written_in_order() -> None:
    position = Position("t", 1, {10: 3, 2: 98, 0: 120})

    assert str(position) == "0:120,2:98,10:3"


def test_one_partition_needs_no_number() -> None:
    assert parse_offsets(" 17 ", 1) == {0: 17}


def test_spaces_and_order_do_not_matter() -> None:
    assert parse_offsets("1:5, 0:4", 2) == {0: 4, 1: 5}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "'' is not an offset"),
        ("17", "'17' is not an offset"),
        ("0:1,1:", "'1:' is not an offset"),
        ("0:1,1:-2", "'1:-2' is not an offset"),
        ("0:1,1:x", "'1:x' is not an offset"),
        ("0:1,2:1", "partition 2 does not exist: the topic has 2"),
        ("0:1,0:1", "partition 0 is named twice"),
        ("0:1", r"partitions \[1\] are not named"),
    ],
)
def test_a_position_that_leaves_anything_open_is_refused(text: str, said: str) -> None:
    with pytest.raises(PositionInvalid, match=said) as caught:
        parse_offsets(text, 2)

    assert caught.value.where == text
    assert caught.value.remedy.endswith("0:100,1:100")


def test_a_position_covers_what_is_below_it_in_every_partition() -> None:
    position = Position("t", 1, {0: 5, 1: 7})

    assert position.covers({0: 5, 1: 7})
    assert position.covers({1: 2})
    assert not position.covers({0: 6, 1: 7})
    assert not position.covers({2: 1})


def test_a_generation_of_a_topic_has_a_name_of_its_own() -> None:
    assert kafka_topic("trading", 2) == "trading.2"
    assert control_topic("trading") == "trading.control"
