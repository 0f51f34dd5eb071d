from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.void import OPEN_END, Span, Void, VoidNotObeyed, Voids

SOURCES, STREAMS = ("app-1", "app-2"), ("a", "b", "c")
_spans = st.tuples(st.integers(0, 8), st.integers(1, 6) | st.none()).map(
    lambda ends: Span(ends[0], OPEN_END if ends[1] is None else ends[0] + ends[1])
)
_voids = st.lists(
    st.builds(
        Void,
        st.sampled_from(["v1", "v2", "v3"]),
        st.sampled_from(SOURCES),
        st.sampled_from([1, 1, 2]),
        st.dictionaries(st.integers(0, 1), _spans),
        st.sets(st.sampled_from(STREAMS)).map(tuple),
    ),
    max_size=4,
)


@given(_voids)
@settings(max_examples=50, deadline=None)
def test_an_event_is_void_where_one_void_has_its_lane_its_place_and_its_stream(
    voids: list[Void],
) -> None:
    obeyed = Voids(1, voids)

    for source in SOURCES:
        for partition in range(2):
            for seq in range(1, 16):
                spans = [
                    (void, span)
                    for void in voids
                    if void.generation == 1 and void.source == source
                    for p, span in void.lanes.items()
                    if p == partition
                ]
                for stream in STREAMS:
                    assert obeyed.covers(source, partition, seq, stream) == any(
                        span.after < seq < span.mark and stream in (void.streams or STREAMS)
                        for void, span in spans
                    )
                assert obeyed.touches(source, partition, seq) == any(
                    span.after < seq <= span.mark for _, span in spans
                )
                assert ((source, partition) in obeyed.lanes) == bool(spans)
    assert bool(obeyed) == bool(obeyed.lanes)
    assert obeyed.parts == [void for void in voids if void.generation == 1]


def void(mark: int = 9, source: str = "app-1") -> Void:
    return Void("v1", source, 1, {0: Span(3, mark)})


def says(voids: Voids, *, reversing: bool) -> bool:
    try:
        voids.require("v1", "app-1", reversing=reversing)
    except VoidNotObeyed:
        return False
    return True


@pytest.mark.parametrize(
    ("voids", "voided", "restored"),
    [
        (Voids(1), False, True),
        (Voids(1, [void()]), True, False),
        (Voids(1, [], [("v1", "app-1")]), True, True),
        (Voids(1, [void(source="app-2")]), False, True),
        (Voids(1, [void(OPEN_END)]), False, False),
    ],
    ids=["unknown", "obeyed", "reversed", "another's part", "prepared: it ends here"],
)
def test_a_mark_is_passed_by_whoever_did_what_it_says(
    voids: Voids, voided: bool, restored: bool
) -> None:
    assert says(voids, reversing=False) is voided
    assert says(voids, reversing=True) is restored


def test_a_void_is_the_same_behind_its_json() -> None:
    written: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(void()))

    assert written["lanes"] == {"0": [3, 9]}
    assert msgspec.convert(written, Void, strict=False) == void()
