from typing import Literal

import pytest

from projector.audit.compare import Finding
from projector.audit.run import AuditResult
from projector.audit.validation import TableValidation, validate

ROWS = 10
Witness = Literal["tables", "memory"]
Problem = Literal["missing", "extra", "differs"]


def result(*findings: tuple[Witness, Problem], with_memory: bool = True) -> AuditResult:
    """Return an audit of ten accounts, which nine of are in memory, and of no readings."""
    found = [Finding(w, p, "accounts", f"key-{n}") for n, (w, p) in enumerate(findings)]
    return AuditResult(
        position="0:10",
        equal={"accounts": not found, "readings": True},
        rows={"accounts": ROWS, "readings": 0},
        memory_rows={"accounts": 9, "readings": 0} if with_memory else {},
        events=20,
        duplicates_in_log=0,
        sources=["app-1"],
        memory_compared=with_memory,
        findings=found,
        seconds=0.1,
    )


def accounts(*findings: tuple[Witness, Problem]) -> TableValidation:
    (found,) = [t for t in validate(result(*findings)).tables if t.table == "accounts"]
    return found


def test_equal_witnesses_pass_every_table_on_every_level() -> None:
    found = validate(result())

    assert found.passed
    assert (found.position, found.memory_compared, found.findings) == ("0:10", True, [])
    assert found.tables == [
        TableValidation("accounts", 10, 10, 9, counts=True, keys=True, digests=True),
        TableValidation("readings", 0, 0, 0, counts=True, keys=True, digests=True),
    ]


@pytest.mark.parametrize(
    ("findings", "levels"),
    [
        ([("tables", "differs")], (True, True, False)),
        ([("memory", "differs")], (True, True, False)),
        ([("tables", "missing")], (False, False, True)),
        ([("tables", "extra")], (False, False, True)),
        ([("memory", "missing")], (False, False, True)),
        ([("memory", "extra")], (False, False, True)),
        ([("tables", "missing"), ("tables", "extra")], (True, False, True)),
        ([("memory", "missing"), ("memory", "extra")], (True, False, True)),
        ([("tables", "missing"), ("memory", "extra")], (False, False, True)),
        ([("tables", "missing"), ("memory", "missing")], (False, False, True)),
        ([("tables", "missing"), ("memory", "differs")], (False, False, False)),
    ],
    ids=str,
)
def test_counts_keys_and_digests_say_each_what_is_wrong(
    findings: list[tuple[Witness, Problem]], levels: tuple[bool, bool, bool]
) -> None:
    found = accounts(*findings)

    assert (found.counts, found.keys, found.digests) == levels
    assert not found.passed
    assert not validate(result(*findings)).passed


def test_rows_are_counted_as_they_were_scanned() -> None:
    found = accounts(("tables", "missing"), ("tables", "missing"), ("tables", "extra"))

    assert (found.log_rows, found.table_rows, found.memory_rows) == (10, 9, 9)


def test_findings_in_memory_alone_leave_the_tables_count_as_it_is() -> None:
    found = accounts(("memory", "missing"), ("memory", "extra"), ("memory", "extra"))

    assert (found.log_rows, found.table_rows) == (10, 10)


def test_a_memory_that_was_not_asked_has_no_count() -> None:
    found = validate(result(with_memory=False))

    assert found.passed
    assert [table.memory_rows for table in found.tables] == [None, None]
    assert not found.memory_compared


def test_every_finding_is_named() -> None:
    found = validate(result(("tables", "extra"), ("memory", "differs")))

    assert found.findings == [
        "tables: table accounts, key key-0: extra",
        "memory: table accounts, key key-1: differs",
    ]
