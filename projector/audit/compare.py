"""Witnesses against each other, row by row: plain functions over rows, no I/O."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from projector.audit.fold_state import RowWitness
from schemas.digest import shown, value_text
from schemas.domain import Domain
from schemas.tables import Table

WitnessName: TypeAlias = Literal["tables", "memory", "log", "outbox"]
WHOLE_TABLE = "the whole table"
"""In place of a row's key: the table itself is not there, or lacks columns."""
_VALUE_LENGTH = 80


class ColumnDifference(msgspec.Struct, frozen=True):
    """What a witness has in a column, and what the log says."""

    column: str
    observed: str
    expected: str

    def __str__(self) -> str:
        return f"{self.column} is {self.observed}, the log says {self.expected}"


class Finding(msgspec.Struct, frozen=True):
    """One thing on which a witness disagrees with the log, or by which the log itself is broken.

    `missing`: the log has the row, the witness does not; `extra`: the other way round, so that no
    event explains it; `differs`: both have it, with other content; `misplaced`: an entity is filed
    under another one's key; `broken`: records do not continue each other; `void`: it does not
    obey a void, or the reversal of one.
    `parked`: for a known reason, since the row's stream waits behind a parked event.
    """

    witness: WitnessName
    problem: Literal["missing", "extra", "differs", "misplaced", "broken", "void"]
    table: str
    key: str
    stream: str = ""
    parked: bool = False
    columns: list[ColumnDifference] = []
    detail: str = ""
    """What else there is to know: of which record, or where the row's last event stands."""

    def __str__(self) -> str:
        if not self.table:
            return f"{self.witness}: {self.key}: {self.problem}: {self.detail}"
        stream = f" (stream {self.stream})" if self.stream else ""
        reason = ", since events of it are parked" if self.parked else ""
        return f"{self.witness}: table {self.table}, key {self.key}{stream}: {self.problem}{reason}"


def of_buckets(
    witness: WitnessName,
    problem: Literal["extra", "differs"],
    table: str,
    buckets: Iterable[int],
    detail: str,
) -> Finding:
    """Return a finding of sums that differ where no row can be named."""
    return Finding(witness, problem, table, f"bucket {', '.join(map(str, buckets))}", detail=detail)


class FoundRow(NamedTuple):
    """A row as a witness has it: its digest below MODULUS, and the text of each column's value."""

    digest: int
    texts: Sequence[str]


def compare_rows(
    witness: WitnessName,
    table: Table,
    expected: Iterable[RowWitness],
    found: Mapping[str, FoundRow],
    most: int,
) -> tuple[list[Finding], int]:
    """Compare a witness's rows, by key, with those of the log at the same position.

    Returns: findings, at most `most`, and how many there are beyond these.
    """
    left = set(found)
    findings: list[Finding] = []
    more = 0

    def add(finding: Finding) -> None:
        nonlocal more
        if len(findings) < most:
            findings.append(finding)
        else:
            more += 1

    for row in expected:
        present = found.get(row.key)
        left.discard(row.key)
        last = f"its last event is at partition {row.partition}, offset {row.last_offset}"
        if present is None:
            add(Finding(witness, "missing", table.name, row.key, row.stream, detail=last))
        elif present.digest != row.digest:
            differences = columns_that_differ(table, present.texts, row)
            add(
                Finding(
                    witness, "differs", table.name, row.key, row.stream,
                    columns=differences, detail=last,
                )
            )  # fmt: skip
    for key in sorted(left):
        add(
            Finding(
                witness, "extra", table.name, key, detail="no event of the log explains this row"
            )
        )
    return sorted(findings, key=lambda finding: finding.key), more


def columns_that_differ(
    table: Table, observed: Sequence[str], expected: RowWitness
) -> list[ColumnDifference]:
    """Return the columns in which a row is not as the log says."""
    return [
        ColumnDifference(column, _short(shown(here, value)), _short(shown(there, value)))
        for column, here, value in zip(table.columns, observed, expected.row, strict=True)
        if here != (there := value_text(value))
    ]


def _short(text: str) -> str:
    return text if len(text) <= _VALUE_LENGTH else text[: _VALUE_LENGTH - 1] + "…"


def window_of(rows: Sequence[RowWitness], found: Collection[str]) -> list[RowWitness]:
    """Return those of a windowed stream's rows, oldest first, that memory must hold.

    Memory holds the newest rows: as many of the newest in the log as it holds of them, and those
    that it holds beside. What it evicted is not missed.
    """
    held = sum(row.key in found for row in rows)
    newest = {row.key for row in rows[len(rows) - held :]}
    return [row for row in rows if row.key in newest or row.key in found]


def with_reasons(
    findings: Iterable[Finding], parked: Collection[str], domain: Domain
) -> list[Finding]:
    """Return findings, those explained that parked streams account for.

    A row that the log does not have has no stream: where its key begins with the stream's fields,
    as most do, its key tells.
    """
    kinds = {table.name: (kind, table) for kind in domain.kinds for table in kind.tables}
    known = frozenset(parked)

    def accounted_for(finding: Finding) -> bool:
        if finding.stream:
            return finding.stream in known
        if finding.table not in kinds:
            return False
        kind, table = kinds[finding.table]
        if table.key[: len(kind.stream)] != kind.stream:
            return False
        further = len(table.key) - len(kind.stream)
        return f"{kind.name}/{finding.key.rsplit('/', further)[0]}" in known

    if not known:
        return list(findings)
    replace = msgspec.structs.replace
    return [replace(f, parked=True) if accounted_for(f) else f for f in findings]
