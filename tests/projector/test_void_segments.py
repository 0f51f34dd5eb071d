from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from projector.batch import Handler, Segment
from projector.lanes import LaneBook
from schemas.lane import ChainBroken, LaneId, partition_of
from schemas.void import Void, VoidNotObeyed, Voids
from tests.domains.ledger import DOMAIN
from tests.projector.app import accounts_in, record
from tests.projector.voided import Written, deposited, opened

A, B = accounts_in(0, 2)
C, D = accounts_in(1, 2)
ACCOUNTS = (A, B, C, D)
LANE = LaneId("app-1", 1, 0)


def handled(written: Written, voids: Voids, partition: int = 0) -> Segment:
    handler = Handler(DOMAIN, LaneBook(1, {}, {"app-1"}, voids=voids))
    return handler.segment(partition, 0, written.log()[partition], None)


def changes(segment: Segment) -> list[Any]:
    return [change for _, change in segment.items if change]


_steps = st.lists(
    st.tuples(st.just("record"), st.sampled_from(ACCOUNTS), st.integers(1, 99))
    | st.tuples(st.just("void"), st.integers(0, 12), st.sets(st.sampled_from(ACCOUNTS), max_size=2))
    | st.tuples(st.just("restore"), st.integers(0, 3), st.none()),
    max_size=25,
)


@given(_steps)
@hypothesis_settings(max_examples=30, deadline=None)
def test_a_log_with_voids_gives_what_it_would_give_without_the_void_events(
    steps: list[tuple[str, Any, Any]],
) -> None:
    written, without = Written(), Written()
    recorded: list[tuple[str, int, Any]] = []
    voids: dict[str, Void] = {}
    lifted: set[str] = set()
    for kind, value, more in steps:
        if kind == "record":
            partition = partition_of(f"account/{value}", 3)
            written.record(deposited(value, more, more))
            recorded.append((f"account/{value}", partition, deposited(value, more, more)))
        elif kind == "void":
            name, streams = f"v{len(voids)}", [f"account/{account}" for account in more]
            after = {p: min(value, seq) for p, seq in written.seqs().items()}
            voids[name] = written.void(name, after, *streams)
        elif f"v{value}" in voids.keys() - lifted:
            lifted.add(f"v{value}")
            written.restore(f"v{value}")
    obeyed = [void for name, void in voids.items() if name not in lifted]
    seqs = {p: iter(_seqs_of_events(written, p)) for p in range(3)}
    for stream, partition, event in recorded:
        seq = next(seqs[partition])
        if not any(
            void.lanes[partition].after < seq < void.lanes[partition].mark
            and stream in (void.streams or (stream,))
            for void in obeyed
        ):
            without.record(event)

    for partition in range(3):
        found = handled(written, Voids(1, obeyed, [(n, "app-1") for n in lifted]), partition)
        assert found.stopped is None
        assert changes(found) == changes(handled(without, Voids(1), partition))
        assert found.new_offset == len(written.lanes[partition])
        assert all(head.seq == found.new_offset for head in found.heads.values())


def _seqs_of_events(written: Written, partition: int) -> Iterator[int]:
    for number, value in enumerate(written.lanes[partition], 1):
        if msgspec.json.decode(value)["type"].startswith("ledger."):
            yield number


def test_a_void_event_is_not_looked_at_whatever_it_is() -> None:
    written = Written()
    written.record(*opened(A))
    written.record(deposited(A, 1, 1), type_name="ledger.account.unheard_of.v9")
    written.lanes[0][1] = written.lanes[0][1].replace(b'"amount":"1"', b'"amount":"?"')
    void = written.void("v", {0: 1})

    obeyed, applied = handled(written, Voids(1, [void])), handled(written, Voids(1))

    assert (obeyed.refused, obeyed.unknown, obeyed.stopped) == ({}, frozenset(), None)
    assert [found.offset for found, _ in obeyed.items] == [0, 2]
    assert applied.unknown == {"ledger.account.unheard_of.v9"}


def test_a_mark_that_says_otherwise_ends_the_segment_before_it() -> None:
    written = Written()
    written.record(*opened(A), deposited(A, 1, 1))
    written.void("v", {0: 1})
    written.record(deposited(A, 2, 2))

    segment = handled(written, Voids(1))

    assert isinstance(segment.stopped, VoidNotObeyed)
    assert segment.stopped.where == "lane app-1/g1/p0, seq 3, partition 0, offset 2"
    assert (segment.new_offset, segment.heads[LANE].seq) == (2, 2)


def test_a_mark_that_comes_a_second_time_is_a_duplicate_like_others() -> None:
    written = Written()
    written.record(*opened(A), deposited(A, 1, 1))
    void = written.void("v", {0: 1})
    log = written.log()[0]
    again = [record(log[0].topic, 0, 3 + at, found.value) for at, found in enumerate(log)]
    lanes = LaneBook(1, {}, {"app-1"}, voids=Voids(1, [void]))
    assert Handler(DOMAIN, lanes).segment(0, 0, log, None).stopped is None
    knows_nothing = LaneBook(1, lanes.heads(), {"app-1"})

    segment = Handler(DOMAIN, knows_nothing).segment(0, 3, again, None)

    assert segment.stopped is None
    assert (segment.items, segment.new_offset, knows_nothing.duplicates) == ([], 6, 3)


def test_a_mark_that_does_not_continue_its_lane_says_nothing_of_voids() -> None:
    written = Written()
    written.record(*opened(A))
    written.void("v", {0: 1})
    written.lanes[0][1] = written.lanes[0][1].replace(b'"chain":"', b'"chain":"0')

    assert isinstance(handled(written, Voids(1)).stopped, ChainBroken)


def test_what_was_voided_and_counts_again_stops_whoever_left_it_out() -> None:
    written = Written()
    written.record(*opened(A), deposited(A, 1, 1))
    void = written.void("v", {0: 1})
    written.restore("v")

    left_out = handled(written, Voids(1, [void]))
    counted = handled(written, Voids(1, [], [("v", "app-1")]))

    assert isinstance(left_out.stopped, VoidNotObeyed)
    assert left_out.new_offset == 3
    assert (counted.stopped, len(changes(counted))) == (None, 2)
