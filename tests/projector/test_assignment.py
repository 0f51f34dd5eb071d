from hypothesis import given
from hypothesis import strategies as st

from projector.assignment import NOTHING, Having, shared_out

MEMBERS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.builds(
        lambda generation, numbers: Having(generation, tuple(sorted(numbers))),
        st.integers(-1, 3),
        st.sets(st.integers(0, 9)),
    ),
    min_size=1,
    max_size=6,
)


@given(st.integers(0, 9), MEMBERS)
def test_every_partition_has_one_member_and_shares_differ_by_one_at_most(
    count: int, members: dict[str, Having]
) -> None:
    given_to = shared_out(range(count), members)

    assert sorted(p for numbers in given_to.values() for p in numbers) == list(range(count))
    assert given_to.keys() == members.keys()
    sizes = {len(numbers) for numbers in given_to.values()}
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 9), st.integers(1, 6))
def test_a_fair_share_is_kept_as_it_is(count: int, members: int) -> None:
    first = shared_out(range(count), {str(n): NOTHING for n in range(members)})
    having = {name: Having(4, numbers) for name, numbers in first.items()}

    assert shared_out(range(count), having) == first


@given(st.integers(1, 9), st.integers(1, 6))
def test_one_that_comes_takes_no_more_than_its_share_and_one_that_goes_gives_only_its_own(
    count: int, members: int
) -> None:
    first = shared_out(range(count), {str(n): NOTHING for n in range(members)})
    having = {name: Having(1, numbers) for name, numbers in first.items()}

    more = shared_out(range(count), having | {"late": NOTHING})
    assert len(more["late"]) == count // (members + 1)
    assert all(set(more[name]) <= set(first[name]) for name in first)

    if members > 1:
        left = {name: numbers for name, numbers in having.items() if name != "0"}
        fewer = shared_out(range(count), left)
        assert all(set(first[name]) <= set(fewer[name]) for name in fewer)


def test_of_two_that_have_a_partition_the_later_generation_keeps_it() -> None:
    zombie, owner = Having(3, (0, 1)), Having(4, (0, 1))

    assert shared_out(range(2), {"a": zombie, "b": owner}) in (
        {"a": (0,), "b": (1,)}, {"a": (1,), "b": (0,)},
    )  # fmt: skip
    assert shared_out(range(3), {"a": Having(3, (0, 1)), "b": Having(4, (1, 2))}) == {
        "a": (0,), "b": (1, 2),
    }  # fmt: skip
