from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from projector.replay.units import FirstSeen, UnitSides

PLACES = st.dictionaries(
    st.tuples(st.integers(0, 5), st.integers(0, 2**40)),
    st.tuples(st.sampled_from("uvwx"), st.booleans()),
    max_size=60,
)


@given(PLACES)
def test_units_on_both_sides_are_split_and_counted(
    places: dict[tuple[int, int], tuple[str, bool]],
) -> None:
    wanted: dict[str, dict[bool, list[tuple[int, int]]]] = defaultdict(
        lambda: {True: [], False: []}
    )
    sides = UnitSides()
    for (partition, offset), (unit, kept) in places.items():
        sides.add(unit, partition, offset, kept=kept)
        wanted[unit][kept].append((partition, offset))

    found = list(sides.split())
    sides.close()

    both = {u: w for u, w in wanted.items() if w[True] and w[False]}
    assert [one.unit for one in found] == sorted(both)
    for one in found:
        sides_of = both[one.unit]
        in_front, behind = sorted(sides_of[True]), sorted(sides_of[False])
        assert (one.kept, one.set_aside) == (len(in_front), len(behind))
        assert one.kept_at == [f"{p}:{o}" for p, o in in_front[:10]]
        assert one.set_aside_at == [f"{p}:{o}" for p, o in behind[:10]]


def test_what_is_sent_twice_counts_once_in_its_lane() -> None:
    first = FirstSeen()

    taken = [
        first.admit(*place)
        for place in [
            ("a", 0, 7), ("a", 0, 8), ("a", 0, 7), ("a", 0, 8), ("a", 0, 9), ("b", 0, 7),
            ("a", 1, 7), ("a", 0, 1),
        ]
    ]  # fmt: skip

    assert taken == [True, True, False, False, True, True, True, False]
