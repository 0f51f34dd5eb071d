from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.audit.compare import Finding, compare_memory, compare_table
from projector.audit.log_fold import Rows, RowWitness
from schemas.tables import Table

TABLE = Table("accounts", ("account",), ("account",))
WINDOW = Table("readings", ("meter", "number"), ("meter", "number"), windowed=True)


def witness(digest: int, stream: str = "s", source: str = "app-1") -> RowWitness:
    return RowWitness(source, stream, digest)


def rows(**digests: int) -> Rows:
    return {TABLE.name: {key: witness(digest, f"account/{key}") for key, digest in digests.items()}}


def test_equal_witnesses_have_no_finding() -> None:
    log = rows(a=1, b=2)

    assert compare_table(TABLE, [log], [("b", 2), ("a", 1)]) == []
    assert compare_memory(TABLE, "app-1", log, {"a": 1, "b": 2}) == []


def test_the_partitions_of_a_table_are_compared_together() -> None:
    assert compare_table(TABLE, [rows(a=1), rows(b=2)], [("a", 1), ("b", 2)]) == []


@pytest.mark.parametrize(
    ("found", "problem", "key"),
    [
        ({"a": 1}, "missing", "b"),
        ({"a": 1, "b": 2, "c": 3}, "extra", "c"),
        ({"a": 1, "b": 9}, "differs", "b"),
    ],
)
def test_a_difference_names_witness_table_and_key(
    found: dict[str, int], problem: Any, key: str
) -> None:
    log = rows(a=1, b=2)
    stream = "" if problem == "extra" else f"account/{key}"

    in_tables = compare_table(TABLE, [log], found.items())
    in_memory = compare_memory(TABLE, "app-1", log, found)

    assert in_tables == [Finding("tables", problem, "accounts", key, stream)]
    assert in_memory == [Finding("memory", problem, "accounts", key, stream)]
    assert str(in_memory[0]).startswith(f"memory: table accounts, key {key}")
    assert str(in_memory[0]).endswith(f": {problem}")


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
)
def test_every_difference_is_found_and_nothing_else(
    log: dict[str, int], found: dict[str, int]
) -> None:
    findings = compare_table(TABLE, [rows(**log)], found.items())

    wrong = {key for key in log.keys() | found.keys() if log.get(key) != found.get(key)}
    assert [finding.key for finding in findings] == sorted(wrong)
    assert compare_memory(TABLE, "app-1", rows(**log), found) == [
        Finding("memory", f.problem, f.table, f.key, f.stream) for f in findings
    ]


def test_a_sources_memory_is_compared_with_its_own_streams_only() -> None:
    log = {"accounts": {"a": witness(1), "b": witness(2, source="app-2")}}

    assert compare_memory(TABLE, "app-1", log, {"a": 1}) == []
    assert compare_memory(TABLE, "app-2", log, {"b": 2}) == []
    assert [f.problem for f in compare_memory(TABLE, "app-2", log, {"a": 1, "b": 2})] == ["extra"]


def windows(**lengths: int) -> Rows:
    """Rows of rings, oldest first: `m=3` is m/1, m/2, m/3."""
    return {
        "readings": {
            f"{meter}/{number}": witness(number, f"reading/{meter}")
            for meter, length in lengths.items()
            for number in range(1, length + 1)
        }
    }


@pytest.mark.parametrize("held", [5, 4, 3, 1])
def test_rows_evicted_from_a_window_are_not_missed(held: int) -> None:
    found = {f"m/{number}": number for number in range(6 - held, 6)}

    assert compare_memory(WINDOW, "app-1", windows(m=5), found) == []


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ([3, 5], ["m/4"]),
        ([1, 2, 4, 5], ["m/3"]),
        ([3, 4], ["m/5"]),
        ([1, 5], ["m/4"]),
        ([1], ["m/5"]),
    ],
)
def test_a_row_lost_from_the_middle_or_the_end_of_a_window_is_missed(
    held: list[int], missing: list[str]
) -> None:
    findings = compare_memory(
        WINDOW, "app-1", windows(m=5), {f"m/{number}": number for number in held}
    )

    assert [(f.problem, f.key) for f in findings] == [("missing", key) for key in missing]


def test_windows_are_judged_stream_by_stream() -> None:
    found = {"m/5": 5, "n/1": 1, "n/2": 2}

    assert compare_memory(WINDOW, "app-1", windows(m=5, n=2), found) == []
    del found["n/2"]
    assert [f.key for f in compare_memory(WINDOW, "app-1", windows(m=5, n=2), found)] == ["n/2"]


def test_a_tables_history_is_whole_even_where_memory_holds_a_window() -> None:
    findings = compare_table(WINDOW, [windows(m=3)], [("m/2", 2), ("m/3", 3)])

    assert [(f.problem, f.key) for f in findings] == [("missing", "m/1")]


@pytest.mark.parametrize(
    ("held", "problem"),
    [({"m/1": 9, "m/2": 2}, "differs"), ({"m/1": 1, "m/2": 2, "m/3": 3}, "extra")],
)
def test_a_windows_rows_are_compared_by_content_too(held: dict[str, int], problem: str) -> None:
    findings = compare_memory(WINDOW, "app-1", windows(m=2), held)

    assert [f.problem for f in findings] == [problem]
