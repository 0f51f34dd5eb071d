"""Witnesses against each other: plain functions over rows, no I/O."""

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

import msgspec

from projector.audit.log_fold import Rows
from schemas.domain import Domain
from schemas.tables import Table


class Finding(msgspec.Struct, frozen=True):
    """One row on which two witnesses disagree.

    `missing`: the log has it, the witness does not; `extra`: the other way round; `differs`: both
    have it, with other content. `parked`: for a known reason, since the row's stream waits behind a
    parked event.
    """

    witness: Literal["tables", "memory"]
    problem: Literal["missing", "extra", "differs"]
    table: str
    key: str
    stream: str = ""
    parked: bool = False

    def __str__(self) -> str:
        stream = f" (stream {self.stream})" if self.stream else ""
        reason = ", since events of it are parked" if self.parked else ""
        return f"{self.witness}: table {self.table}, key {self.key}{stream}: {self.problem}{reason}"


def compare_table(
    table: Table, expected: Iterable[Rows], found: Iterable[tuple[str, int]]
) -> list[Finding]:
    """Compare a table's stored rows with the fold of the log at the same position."""
    left = {key: row for rows in expected for key, row in rows[table.name].items()}
    findings = []
    for key, digest in found:
        row = left.pop(key, None)
        if row is None:
            findings.append(Finding("tables", "extra", table.name, key))
        elif row.digest != digest:
            findings.append(Finding("tables", "differs", table.name, key, row.stream))
    findings += [
        Finding("tables", "missing", table.name, key, row.stream) for key, row in left.items()
    ]
    return sorted(findings, key=lambda finding: finding.key)


def compare_memory(
    table: Table, source: str, expected: Rows, found: Mapping[str, int]
) -> list[Finding]:
    """Compare one source's memory in one partition with the fold of the log at its barrier.

    A windowed table's memory holds the newest rows of each stream: it is compared over as many of
    the newest rows in the log as it holds.
    """
    own = {key: row for key, row in expected[table.name].items() if row.source == source}
    if table.windowed:
        by_stream: dict[str, list[str]] = {}
        held: dict[str, int] = {}
        for key, row in own.items():
            by_stream.setdefault(row.stream, []).append(key)
            held[row.stream] = held.get(row.stream, 0) + (key in found)
        window = {
            key for stream, keys in by_stream.items() for key in keys[len(keys) - held[stream] :]
        }
        own = {key: row for key, row in own.items() if key in window or key in found}
    findings = []
    for key, row in own.items():
        if key not in found:
            findings.append(Finding("memory", "missing", table.name, key, row.stream))
        elif found[key] != row.digest:
            findings.append(Finding("memory", "differs", table.name, key, row.stream))
    findings += [Finding("memory", "extra", table.name, key) for key in found if key not in own]
    return sorted(findings, key=lambda finding: finding.key)


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
        kind, table = kinds[finding.table]
        if table.key[: len(kind.stream)] != kind.stream:
            return False
        further = len(table.key) - len(kind.stream)
        return f"{kind.name}/{finding.key.rsplit('/', further)[0]}" in known

    if not known:
        return list(findings)
    replace = msgspec.structs.replace
    return [replace(f, parked=True) if accounted_for(f) else f for f in findings]
