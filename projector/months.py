"""Partitions by month, made before the first row that needs one.

There is no default partition: PostgreSQL would search it, locked against everyone, for each month
that is made later, and a time that is wrong would find a place there unnoticed.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from projector.fold import ChangeRefused, Fold, Op, TableFold
from projector.sql import query
from schemas.tables import MONTHS_BEGIN, MONTHS_END, Key, Table, within_months

_NEW = frozenset({Op.INSERT, Op.UPSERT, Op.VANISH, Op.DISCARD})


class Span(NamedTuple):
    """Times that have partitions without a gap: from `first` on, up to `end`."""

    first: datetime
    end: datetime


_IN_ONE_PIECE = [Span(MONTHS_BEGIN, MONTHS_END)]


class Months:
    """Knows which months of a projection's tables there are, and makes those that are missing.

    It remembers them: a fold whose months are known costs no statement. `forget` where somebody may
    have detached one.
    """

    def __init__(self, conn: psycopg.Connection[Any], schema: str, tables: Iterable[Table]) -> None:
        self._conn = conn
        self._schema = schema
        self._tables = {table.name: table for table in tables if table.months is not None}
        self._known: dict[str, list[Span]] = {}
        self._made_in: str | None = None

    def require(self, fold: Fold) -> int:
        """Make the partitions that a fold's new rows need; return how many were made.

        In a transaction of the caller's, or without one; what a rollback takes away is not counted
        upon. Batches of others go on meanwhile: only whoever makes a month of the same table waits.
        Raises: ChangeRefused naming the row whose time has no month, or whose month cannot be made.
        """
        # By name: two that make months of several tables meet at the first.
        return sum(
            self._require_table(fold.tables[name], self._tables[name])
            for name in sorted(self._tables.keys() & fold.tables.keys())
            if fold.tables[name].changes
        )

    def forget(self) -> None:
        """Look at the tables again, at the next fold."""
        self._known.clear()

    def _require_table(self, fold: TableFold, table: Table) -> int:
        assert table.months is not None  # noqa: S101  (only such tables are kept)
        place = table.key.index(table.months)
        times = [key[place] for key in fold.changes]
        known = self._known.get(table.name, [])
        try:
            # One span is the rule; looking for the two ends costs less than sorting.
            if _all_within(known, [min(times), max(times)]) and len(known) == 1:
                return 0
            if _all_within(known, sorted(times)):
                return 0
        except TypeError:
            pass  # no time with a zone: the closer look names the row
        return self._make_missing(fold, table, place)

    def _make_missing(self, fold: TableFold, table: Table, place: int) -> int:
        """Look at each new row's own time."""
        spans = self._look(table)  # another worker may have made what is missing
        if spans is _IN_ONE_PIECE:
            return 0
        missing: dict[Span, Key] = {}
        for key, (op, _) in fold.changes.items():
            value = key[place]
            if op in _NEW and not _all_within(spans, [_checked(value, table, key)]):
                missing.setdefault(month_of(value), key)
        return self._make(table, missing) if missing else 0

    def _look(self, table: Table) -> list[Span]:
        """Return the spans that the table has now; remember them where they are there to stay."""
        given = {
            "schema": self._schema, "table": table.name, "begin": MONTHS_BEGIN, "end": MONTHS_END,
        }  # fmt: skip
        rows = self._conn.execute(query("months_found"), given).fetchall()
        if not rows or not rows[0][0]:  # no table, which shows soon enough, or one in one piece
            spans = _IN_ONE_PIECE
        else:
            spans = _joined(Span(first, end) for _, first, end, there, _ in rows if there)
        if self._made_in is None or not rows or rows[0][4] != self._made_in:
            self._made_in = None  # the transaction that made a month is over, however it ended
            self._known[table.name] = spans
        return spans

    def _make(self, table: Table, missing: Mapping[Span, Key]) -> int:
        """Make months, each needed by the row of a key, where they are still missing."""
        live = sql.Identifier(self._schema, table.name)
        made = 0
        with self._conn.transaction():
            self._conn.execute(query("months_lock").format(table=live))
            spans = self._look(table)
            for month in sorted(missing):
                place = table.key.index(table.months or "")
                if not _all_within(spans, [missing[month][place]]):
                    self._make_one(table, live, month, missing[month])
                    made += 1
            row = self._conn.execute(query("months_transaction")).fetchone()
        if made:
            self._made_in = row[0] if row else None
            self._known.pop(table.name, None)  # a rollback of the caller's may take them away
        return made

    def _make_one(self, table: Table, live: sql.Identifier, month: Span, key: Key) -> None:
        name = f"{table.name}_{month.first:%Y_%m}"
        names = {
            "table": live,
            "partition": sql.Identifier(self._schema, name),
            "first": sql.Literal(f"{month.first.isoformat()}"),
            "end": sql.Literal(f"{month.end.isoformat()}"),
        }
        try:
            self._conn.execute(query("months_make").format(**names))
            self._conn.execute(query("months_attach").format(**names))
        except (psycopg.errors.DuplicateTable, psycopg.errors.InvalidObjectDefinition) as error:
            raise ChangeRefused(
                f"the partition {name} cannot be made: {error.diag.message_primary}; a month that "
                "was detached is attached again, renamed or dropped before it is written anew",
                table.name,
                key,
            ) from error


def month_of(value: datetime) -> Span:
    """Return the calendar month, in UTC, that a time is in."""
    first = value.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    year, month = divmod(first.month, 12)
    return Span(first, first.replace(year=first.year + year, month=month + 1))


def _checked(value: Any, table: Table, key: Key) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ChangeRefused(f"{table.months} is no time with a zone", table.name, key)
    if not within_months(value):
        raise ChangeRefused(
            f"{table.months} is not of the years {MONTHS_BEGIN.year} to {MONTHS_END.year - 1}",
            table.name,
            key,
        )
    return value


def _all_within(spans: Iterable[Span], times: list[datetime]) -> bool:
    """Say whether the spans hold every time; both are sorted."""
    held = 0
    for span in spans:
        if bisect_left(times, span.first) > held:
            return False
        held = bisect_left(times, span.end)
    return held == len(times)


def _joined(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.first <= joined[-1].end:
            joined[-1] = Span(joined[-1].first, max(joined[-1].end, span.end))
        else:
            joined.append(span)
    return joined
