"""Whether tables and memory moved alike since the last full comparison, asked while writers stand.

The apps' barriers say how their rows changed since they began to count, the tables' triggers how
the stored rows did. Behind an audit that found all equal, equal moves are equal rows. That takes
sums alone, whatever the number of rows.
"""

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec
import psycopg

from projector.audit.kept_digests import Kept, read_kept
from projector.audit.result import AuditMarks
from projector.sql import query
from schemas.errors import FerryError
from schemas.table_sums import Sums, TableSums, total

_Told = dict[int, dict[str, TableSums]]
"""Partition → table → sums."""


class TablesChanged(FerryError):
    """A table does not hold what the apps recorded: somebody changed it since the last audit."""


class BaseOutdated(FerryError):
    """An app began to count anew: what it says cannot be compared with the last audit."""


class Base(NamedTuple):
    """What an audit that found all equal is to a later moment.

    At any later barrier of all sources that is in the tables, each table has kept what the sources
    count there, and this much more.
    """

    counting: dict[str, str]
    """Source → under which name it counted at the audit's barrier."""
    more: dict[str, Sums]
    """Table → what it keeps beyond what the sources count."""


def base_of(marks: AuditMarks, sources: Collection[str], keeping: Collection[str]) -> Base | None:
    """Return what an audit's sums are to a later moment; None where a source counts nothing.

    Only tables are in it that keep digests, and whose rows every source counts.
    """
    if marks.kept is None or set(sources) - set(marks.barriers):
        return None
    counting = {}
    told: dict[str, _Told] = {}
    for source in sources:
        barriers = marks.barriers[source]
        names = {barrier.counting for barrier in barriers.values()}
        if len(names) != 1 or "" in names:
            return None
        (counting[source],) = names
        told[source] = {p: barrier.sums for p, barrier in barriers.items()}
    more = {}
    for table in _counted(told.values()) & set(keeping) - marks.kept.truncated:
        kept = marks.kept.sums.get(table, Sums())
        # The tables were read behind the barriers: by so much they had moved on.
        behind = total(
            log.get(table, Sums()) for s in sources for log in marks.log_at_barrier[s].values()
        )
        there = total(marks.log_by_source.get(s, {}).get(table, Sums()) for s in sources)
        more[table] = kept - _history(told.values(), table) - (there - behind)
    return Base(counting, more)


def require_unchanged(
    conn: psycopg.Connection[Any], projection: str, fence: str, base: Base
) -> tuple[str, ...]:
    """Check that every table moved as memory did; return those that were compared.

    To be called once the fence's barriers are in the tables.
    Raises: TablesChanged, naming tables and buckets; BaseOutdated.
    """
    told: dict[str, _Told] = {}
    for source, counting, sums in conn.execute(query("fence_sums"), (fence,)):
        if source in base.counting:
            if counting != base.counting[source] or sums is None:
                raise BaseOutdated(
                    f"source {source!r} began to count its rows anew since the last audit",
                    where=f"source {source}",
                    remedy="run it again: it audits first",
                )
            told[source] = msgspec.convert(sums, _Told, strict=False)
    _require(base, told, read_kept(conn, projection), projection)
    return tuple(sorted(base.more))


def _require(base: Base, told: Mapping[str, _Told], kept: Kept, projection: str) -> None:
    wrong = []
    for table, more in base.more.items():
        if table in kept.truncated:
            wrong.append(f"{table} (it was truncated)")
            continue
        expected = _history(told.values(), table) + more
        if buckets := kept.sums.get(table, Sums()).unlike(expected):
            wrong.append(f"{table} (bucket {', '.join(map(str, buckets[:4]))})")
    if wrong:
        raise TablesChanged(
            f"tables are not what the apps recorded, though an audit found them equal a moment "
            f"ago: {', '.join(sorted(wrong))}",
            where=f"projection {projection}",
            remedy="somebody wrote to them; `memferry audit` names every row",
        )


def _counted(told: Collection[_Told]) -> set[str]:
    """Return the tables that every source counts in every partition."""
    named = [set(tables) for of_source in told for tables in of_source.values()]
    return set.intersection(*named) if named else set()


def _history(told: Collection[_Told], table: str) -> Sums:
    return total(
        tables[table].opened()[0]
        for of_source in told
        for tables in of_source.values()
        if table in tables
    )
