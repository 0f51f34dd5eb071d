"""What an audit says of each table, on three levels: counts, keys, digests.

Counts compare how many rows each witness has, keys which rows, digests what is in them. A plain
function over an audit's result.
"""

import msgspec

from projector.audit.run import AuditResult


class TableValidation(msgspec.Struct, frozen=True):
    """One table's levels; a level is true where every witness that was asked agrees with the log.

    `tables_rows` are as scanned; `memory_rows` None where memory was not asked or holds a window.
    """

    table: str
    log_rows: int
    table_rows: int
    memory_rows: int | None
    counts: bool
    keys: bool
    digests: bool

    @property
    def passed(self) -> bool:
        """Whether all levels are true."""
        return self.counts and self.keys and self.digests


class Validation(msgspec.Struct, frozen=True):
    """Every table at one position."""

    position: str
    memory_compared: bool
    tables: list[TableValidation]
    findings: list[str]
    parked: list[str] = []
    """Streams that wait behind a parked event, each with its reason."""

    @property
    def passed(self) -> bool:
        """Whether every table passed, and nothing is parked."""
        return all(table.passed for table in self.tables) and not self.parked


def validate(result: AuditResult) -> Validation:
    """Return what an audit's findings mean, table by table."""
    tables = []
    for table in result.equal:
        found = [finding for finding in result.findings if finding.table == table]
        missing = sum(f.problem == "missing" and f.witness == "tables" for f in found)
        extra = sum(f.problem == "extra" and f.witness == "tables" for f in found)
        in_memory = [f for f in found if f.witness == "memory" and f.problem != "differs"]
        balance = sum(1 if f.problem == "extra" else -1 for f in in_memory)
        tables.append(
            TableValidation(
                table,
                result.rows.get(table, 0),
                result.rows.get(table, 0) - missing + extra,
                result.memory_rows.get(table) if result.memory_compared else None,
                counts=missing == extra and balance == 0,
                keys=all(finding.problem == "differs" for finding in found),
                digests=not any(finding.problem == "differs" for finding in found),
            )
        )
    return Validation(
        result.position,
        result.memory_compared,
        tables,
        [str(finding) for finding in result.findings],
        [f"stream {parked.stream} is parked: {parked.reason}" for parked in result.parked],
    )
