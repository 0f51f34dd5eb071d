"""Ids of events, read by the standard library's own UUID."""

import itertools
import uuid

from hypothesis import example, given
from hypothesis import strategies as st

from schemas.identity import id_generator, new_id

MS = 1_000_000


def test_an_id_is_a_uuid_of_version_7() -> None:
    text = new_id()

    found = uuid.UUID(text)

    assert str(found) == text
    assert (found.version, found.variant) == (7, uuid.RFC_4122)


def test_an_id_begins_with_the_time_in_milliseconds() -> None:
    next_id = id_generator(lambda: 1_700_000_000_123 * MS + 999_999)

    assert uuid.UUID(next_id()).int >> 80 == 1_700_000_000_123


@example([0, 1])
@given(st.lists(st.integers(0, 2**47), min_size=1, max_size=50))
def test_ids_rise_whatever_the_clock_does(clock_ms: list[int]) -> None:
    times = iter(clock_ms)
    next_id = id_generator(lambda: next(times) * MS)

    ids = [next_id() for _ in clock_ms]

    assert ids == sorted(set(ids))


def test_ids_rise_beyond_the_room_of_one_millisecond() -> None:
    next_id = id_generator(lambda: 5 * MS)

    ids = [uuid.UUID(next_id()) for _ in range(10_000)]

    assert all(a < b for a, b in itertools.pairwise(ids))
    assert {found.version for found in ids} == {7}
    assert {found.variant for found in ids} == {uuid.RFC_4122}
    assert ids[-1].int >> 80 == 5 + 10_000 // 4096


def test_the_lower_half_is_drawn_anew_each_millisecond() -> None:
    times = itertools.count()
    next_id = id_generator(lambda: next(times) * MS)

    halves = {uuid.UUID(next_id()).int & (2**62 - 1) for _ in range(100)}

    assert len(halves) == 100


def test_two_generators_with_one_clock_do_not_meet() -> None:
    one, other = id_generator(lambda: MS), id_generator(lambda: MS)

    assert not {one() for _ in range(1_000)} & {other() for _ in range(1_000)}
