"""The tables against the fold of the log, at the tables' own checkpoint.

Sums are compared first, bucket by bucket. Only of buckets that differ are rows read.
"""

from collections.abc import Iterable, Iterator

from projector.audit.against_memory import FINDINGS_MOST
from projector.audit.compare import WHOLE_TABLE, Finding, compare_rows, of_buckets
from projector.audit.fold_state import FoldState
from projector.audit.result import AuditMarks, AuditResult
from projector.audit.table_scan import TableSnapshot
from schemas.table_sums import Sums
from schemas.tables import Table

_ROWS_AT_ONCE = 200_000


def compare_tables(
    state: FoldState,
    snapshot: TableSnapshot,
    tables: Iterable[Table],
    result: AuditResult,
    marks: AuditMarks,
    *,
    full: bool,
) -> None:
    """Compare each table; `full` reads every row a second time, another way."""
    marks.log_by_source = state.sums_by_source()
    for table in tables:
        log = marks.log[table.name] = state.sums(table.name)
        if lacking := snapshot.lacks(table):
            _without(table, lacking, log, result, marks)
            continue
        stored = marks.tables[table.name] = snapshot.sums(table)
        result.rows[table.name] = log.total_rows
        result.table_rows[table.name] = stored.total_rows
        if not snapshot.digested_by_database(table):
            result.coverage.append(
                f"table {table.name}: rows were read one by one, since PostgreSQL has no text of "
                "its own for the type of one of its columns"
            )
        elif full:
            _compare_ways(table, stored, snapshot.sums(table, by_reading=True), result)
        for buckets in _groups(stored.unlike(log), stored, log):
            most = FINDINGS_MOST - len(result.findings)
            if most <= 0:
                result.unnamed += sum(abs(stored.rows[b] - log.rows[b]) or 1 for b in buckets)
                continue
            expected = state.rows(table.name, buckets)
            found, more = compare_rows(
                "tables", table, expected, snapshot.rows(table, buckets), most
            )
            result.findings += found
            result.unnamed += more
            if not found:
                result.findings.append(_unequal(table, buckets))


def _without(table: Table, lacking: str, log: Sums, result: AuditResult, marks: AuditMarks) -> None:
    """Note a table that cannot be read: no finding where the log has no row for it yet.

    The projector makes a derived table once it meets the first event of its kind.
    """
    marks.tables[table.name] = Sums()
    result.rows[table.name], result.table_rows[table.name] = log.total_rows, 0
    if not log.total_rows:
        result.coverage.append(f"table {table.name}: {lacking}; the log has no row of it either")
        return
    result.findings.append(
        Finding("tables", "missing", table.name, WHOLE_TABLE, detail=f"{lacking} in the database")
    )
    result.unnamed += log.total_rows - 1


def _compare_ways(table: Table, stored: Sums, read: Sums, result: AuditResult) -> None:
    buckets = stored.unlike(read)
    if buckets:
        result.findings.append(
            of_buckets(
                "tables", "differs", table.name, buckets,
                "PostgreSQL digests these rows otherwise than they read: please report it",
            )
        )  # fmt: skip


def _unequal(table: Table, buckets: Iterable[int]) -> Finding:
    """Sums that differ without a row that does: a key is there twice."""
    return of_buckets(
        "tables", "extra", table.name, buckets,
        "a key is in the table more than once: its primary key is gone",
    )  # fmt: skip


def _groups(buckets: list[int], stored: Sums, log: Sums) -> Iterator[list[int]]:
    """Yield buckets together, as many as hold a bounded number of rows, one at least."""
    group: list[int] = []
    rows = 0
    for bucket in buckets:
        more = max(stored.rows[bucket], log.rows[bucket])
        if group and rows + more > _ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
        group.append(bucket)
        rows += more
    if group:
        yield group
