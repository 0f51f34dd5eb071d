from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projector.audit.compare import (
    ColumnDifference,
    Finding,
    FoundRow,
    columns_that_differ,
    compare_rows,
    window_of,
)
from projector.audit.fold_state import RowWitness
from schemas.digest import row_digest, value_text
from schemas.tables import Table

TABLE = Table("accounts", ("account", "owner", "balance"), ("account",))
WINDOW = Table("readings", ("meter", "number"), ("meter", "number"), windowed=True)


def witness(key: str, balance: int) -> RowWitness:
    row = (key, "Ada", balance)
    return RowWitness(key, f"account/{key}", "app-1", row_digest(TABLE, row), row, 2, 17)


def found(key: str, balance: int, owner: str = "Ada") -> FoundRow:
    row = (key, owner, balance)
    return FoundRow(row_digest(TABLE, row), [value_text(value) for value in row])


def log(**balances: int) -> list[RowWitness]:
    return [witness(key, balance) for key, balance in balances.items()]


def stored(**balances: int) -> dict[str, FoundRow]:
    return {key: found(key, balance) for key, balance in balances.items()}


def test_equal_witnesses_have_no_finding() -> None:
    assert compare_rows("tables", TABLE, log(a=1, b=2), stored(b=2, a=1), 9) == ([], 0)


@pytest.mark.parametrize(
    ("there", "problem", "key"),
    [
        ({"a": 1}, "missing", "b"),
        ({"a": 1, "b": 2, "c": 3}, "extra", "c"),
        ({"a": 1, "b": 9}, "differs", "b"),
    ],
)
def test_a_difference_names_witness_table_and_key(
    there: dict[str, int], problem: Any, key: str
) -> None:
    (finding,), more = compare_rows("memory", TABLE, log(a=1, b=2), stored(**there), 9)

    stream = "" if problem == "extra" else f"account/{key}"
    assert (finding.witness, finding.problem, finding.table) == ("memory", problem, "accounts")
    assert (finding.key, finding.stream, more) == (key, stream, 0)
    assert str(finding).startswith(f"memory: table accounts, key {key}")
    assert str(finding).endswith(f": {problem}")


def test_what_differs_is_said_by_column_with_both_values_and_its_last_event() -> None:
    (finding,), _ = compare_rows("tables", TABLE, log(a=1), {"a": found("a", 7, owner="Eve")}, 9)

    assert finding.columns == [
        ColumnDifference("owner", "Eve", "Ada"),
        ColumnDifference("balance", "7", "1"),
    ]
    assert finding.detail == "its last event is at partition 2, offset 17"


def test_a_long_value_is_cut() -> None:
    (difference,) = columns_that_differ(TABLE, ["1:a", "x" * 5_000, "1"], witness("a", 1))

    assert len(difference.observed) == 80
    assert difference.observed.endswith("…")


def test_beyond_a_number_rows_are_counted_and_not_named() -> None:
    findings, more = compare_rows("tables", TABLE, log(a=1, b=2, c=3), stored(d=1), 2)

    assert (len(findings), more) == (2, 2)


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 2)),
)
def test_every_difference_is_found_and_nothing_else(
    there: dict[str, int], here: dict[str, int]
) -> None:
    findings, more = compare_rows("tables", TABLE, log(**there), stored(**here), 99)

    wrong = {key for key in there.keys() | here.keys() if there.get(key) != here.get(key)}
    assert [finding.key for finding in findings] == sorted(wrong)
    assert more == 0


def ring(length: int) -> list[RowWitness]:
    """A windowed stream's rows in the log, oldest first: m/1, m/2, m/3, …"""
    return [
        RowWitness(f"m/{n}", "reading/m", "app-1", n, ("m", n), 0, n) for n in range(1, length + 1)
    ]


def missed(held: list[int], length: int = 5) -> list[tuple[str, str]]:
    there = {f"m/{n}": FoundRow(n, ["1:m", str(n)]) for n in held}
    findings, _ = compare_rows("memory", WINDOW, window_of(ring(length), there), there, 99)
    return [(finding.problem, finding.key) for finding in findings]


@pytest.mark.parametrize("held", [5, 4, 3, 1])
def test_rows_evicted_from_a_window_are_not_missed(held: int) -> None:
    assert missed(list(range(6 - held, 6))) == []


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
    assert missed(held) == [("missing", key) for key in missing]


def test_a_row_that_the_log_never_had_is_no_part_of_a_window() -> None:
    assert missed([4, 5, 9]) == [("extra", "m/9")]


def test_a_finding_of_the_log_itself_says_what_is_broken() -> None:
    finding = Finding("log", "broken", "", "lane app-1/g1/p0, seq 3", detail="event 2 is missing")

    assert str(finding) == "log: lane app-1/g1/p0, seq 3: broken: event 2 is missing"
