"""The tables against the fold of the log: table by table, row by row, column by column."""

import datetime
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from tests.checker.kinds import Column, Table
from tests.checker.values import shown
from tests.checker.verdict import Finding, FindingKind

ExpectedRows = dict[tuple[Any, ...], tuple[Any, ...]]
"""Key, as PostgreSQL gives it, → JSON values in the order of the table's columns."""


class RowCheck:
    """Compares one table's rows, in any order, with those expected, which it uses up."""

    def __init__(self, table: Table, expected: ExpectedRows, findings: list[Finding]) -> None:
        self._table = table
        self._columns = tuple(table.columns.items())
        self._key = tuple(list(table.columns).index(name) for name in table.key)
        self._expected = expected
        self._met: set[tuple[Any, ...]] = set()
        self._findings = findings
        self.rows = 0

    def admit(self, row: Sequence[Any]) -> None:
        """Compare one row, as psycopg gives it, in the order of the table's columns."""
        self.rows += 1
        key = tuple([row[place] for place in self._key])
        expected = self._expected.pop(key, None)
        if expected is None:
            if key in self._met:
                self._find("doubled", key, "a second row with this key")
            else:
                self._find("foreign", key, f"the log makes no such row; found {shown(tuple(row))}")
            return
        self._met.add(key)
        for (name, column), wanted, found in zip(self._columns, expected, row, strict=True):
            if not same(wanted, found, column):
                self._find(
                    "altered", key, f"column {name}: expected {shown(wanted)}, found {shown(found)}"
                )

    def finish(self) -> None:
        """Complain of rows that never came; call once, behind the last row."""
        for key, row in self._expected.items():
            self._find("lost", key, f"the row is missing; expected {shown(row)}")

    def _find(self, kind: FindingKind, key: tuple[Any, ...], detail: str) -> None:
        named = ", ".join(
            f"{name} {value.isoformat() if isinstance(value, datetime.datetime) else value}"
            for name, value in zip(self._table.key, key, strict=True)
        )
        self._findings.append(Finding(kind, f"table {self._table.name}, {named}", detail))


def compare_rows(
    table: Table, expected: ExpectedRows, found: Sequence[Sequence[Any]]
) -> list[Finding]:
    """Compare a whole table's rows with those expected, which are used up."""
    findings: list[Finding] = []
    check = RowCheck(table, expected, findings)
    for row in found:
        check.admit(row)
    check.finish()
    return findings


def same(wanted: Any, found: Any, column: Column) -> bool:
    """Say whether a column holds what a JSON value says."""
    if wanted is None or found is None:
        return wanted is found
    if column is Column.JSON:
        return _same_json(wanted, found)
    try:
        value = read(wanted, column)
    except (ValueError, ArithmeticError, TypeError):
        return False
    return type(value) is type(found) and bool(value == found)


def read(wanted: Any, column: Column) -> Any:
    """Return a JSON value as psycopg gives the column; raises where it is none of its sort."""
    if wanted is None:
        return None
    match column:
        case Column.DECIMAL:
            return Decimal(wanted)
        case Column.TIME:
            return read_time(wanted)
        case _:
            return wanted


def read_time(text: str) -> datetime.datetime:
    """Return an RFC 3339 time as an instant; raises ValueError for one without a zone."""
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text} has no zone")
    return time.astimezone(datetime.UTC)


def _same_json(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, dict):
        return (
            isinstance(found, dict)
            and wanted.keys() == found.keys()
            and all(_same_json(value, found[name]) for name, value in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(found, list)
            and len(wanted) == len(found)
            and all(map(_same_json, wanted, found))
        )
    numbers = (int, float)
    if isinstance(wanted, numbers) and isinstance(found, numbers):
        return isinstance(wanted, bool) is isinstance(found, bool) and wanted == found
    return type(wanted) is type(found) and bool(wanted == found)
