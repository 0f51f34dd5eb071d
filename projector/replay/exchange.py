"""The swap: tables beside become the live ones, and the live ones are kept beside, in one step.

Every live table is locked first, so whoever has read one of them in a transaction reads all of them
before the swap, and whoever has not, behind it. The whole schema is exchanged, tables and views,
with lanes, checkpoint, parked events and the code that made the rows.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg import sql

from projector.control_tables import State
from projector.sql import query
from schemas.domain import Domain
from schemas.errors import FerryError

_LOCK_MS = (20, 20, 20, 20, 30, 40, 60, 80, 120, 160, 200)
"""Readers wait for no longer than this for each attempt: where queries take longer than that, no
gap ever comes, and a longer wait for once costs readers less than many short ones."""
_GRASP_S = 0.25
"""How long an attempt looks for a moment at which no transaction has any table; readers go on."""
_GRASP_PAUSE_S = (0.0005, 0.004)
_LOOK_OUT_MS = 3_000
"""An autovacuum gives way after a second, deadlock_timeout."""
_CHECKPOINT_MS = 10_000
_PAUSE_S = (0.05, 0.3)
_MOVED = ("checkpoint", "lane", "parked", "fingerprint")


class TablesInUse(FerryError):
    """Transactions held the live tables for as long as a swap was tried."""


class Exchanged(msgspec.Struct, frozen=True):
    """A swap that took place."""

    kept: str
    """The schema that has the tables which were live."""
    pause_ms: float
    """The longest that a reader may have waited, of all attempts."""
    attempts: int
    position: dict[int, int]
    """Of the tables that are live now."""


def exchange(  # noqa: PLR0917
    conn: psycopg.Connection[Any],
    projection: str,
    beside: str,
    domain: Domain,
    state: State,
    reason: str,
    *,
    reach: Callable[[Mapping[int, int]], None] = lambda _: None,
    within: Callable[[Exchanged], None] = lambda _: None,
    locked: Callable[[], None] = lambda: None,
    patience_s: float = 60.0,
) -> Exchanged:
    """Make the tables `beside` the live ones, in `state`; `conn` is in autocommit.

    `reach(offsets)` is called while the live tables' projector stands still at these offsets: it
    returns once the tables beside are as far. `within` is called in each attempt's transaction, and
    `locked` once readers wait and nothing can fail any more: both should be quick.
    Raises: TablesInUse after `patience_s`, naming who held them; nothing was changed then.
    """
    deadline = time.monotonic() + patience_s
    attempt, pause_ms = 0, 0.0
    while True:
        attempt += 1
        lock_ms = _LOCK_MS[min(attempt, len(_LOCK_MS)) - 1]
        swap = _Swap(conn, projection, beside, domain)
        try:
            with conn.transaction():
                conn.execute(query("exchange_soon"))
                position = swap.prepare(reach)
                # All that needs no lock on the tables comes first: readers go on meanwhile.
                swap.move_rows(state, reason)
                done = Exchanged(beside, pause_ms, attempt, position)
                within(done)
                swap.lock(lock_ms)
                locked()
                swap.move_schemas()
            done = msgspec.structs.replace(done, pause_ms=max(pause_ms, swap.held_ms()))
            conn.execute(query("exchange_flush"))
            return done
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
            pause_ms = max(pause_ms, swap.held_ms())
            if time.monotonic() > deadline:
                raise _in_use(conn, projection, patience_s) from error
            time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311  (no secret)


class _Swap:
    """One attempt, in the caller's transaction."""

    def __init__(
        self, conn: psycopg.Connection[Any], projection: str, beside: str, domain: Domain
    ) -> None:
        self._conn = conn
        self._live, self._beside = projection, beside
        self._spare = f"{beside}~"
        self._domain = domain
        self._term = 0
        self._locked_at: float | None = None

    def prepare(self, reach: Callable[[Mapping[int, int]], None]) -> dict[int, int]:
        """Have both sides' projectors stand still; return where the tables beside are."""
        self._wait_up_to(_CHECKPOINT_MS)
        live = self._place(self._live)
        reach({partition: offset for partition, offset, _ in live})
        beside = self._place(self._beside)
        self._term = max(term for _, _, term in (*live, *beside)) + 1
        return {partition: offset for partition, offset, _ in beside}

    def lock(self, lock_ms: int) -> None:
        """Lock every live view and table: all at once, else one by one for some milliseconds.

        Who has one and waits for another that is locked here never gives up the first: to wait for
        all of them helps only where transactions read one table, and are never all at an end.
        """
        found = {name for (name,) in self._conn.execute(query("tables_of_schema"), (self._live,))}
        tables = [
            sql.Identifier(self._live, table) for table in self._domain.tables if table in found
        ]
        if not tables:
            return
        self._wait_up_to(_LOOK_OUT_MS)
        self._conn.execute(query("exchange_look_out").format(tables=sql.SQL(", ").join(tables)))
        views = self._conn.execute(query("exchange_views"), (self._live,)).fetchall()
        tables = [*(sql.Identifier(self._live, view) for (view,) in views), *tables]
        if self._grasp(tables):
            return
        self._locked_at = time.perf_counter()
        for table in tables:
            left_ms = lock_ms - int(self.held_ms())
            self._wait_up_to(max(1, left_ms))
            self._conn.execute(query("exchange_lock").format(table=table))

    def _grasp(self, tables: Sequence[sql.Identifier]) -> bool:
        """Lock all tables at a moment at which nobody has any; False where none came."""
        grasp = query("exchange_grasp").format(tables=sql.SQL(", ").join(tables))
        deadline = time.monotonic() + _GRASP_S
        while time.monotonic() < deadline:
            self._locked_at = time.perf_counter()
            try:
                with self._conn.transaction():  # what was locked before the one in use is released
                    self._conn.execute(grasp)
            except psycopg.errors.LockNotAvailable:
                time.sleep(random.uniform(*_GRASP_PAUSE_S))  # noqa: S311  (no secret)
            else:
                return True
        return False

    def move_rows(self, state: State, reason: str) -> None:
        """Exchange what control tables say of both."""
        conn, live, beside = self._conn, self._live, self._beside
        conn.execute(query("exchange_spare"), {"spare": self._spare, "projection": live})
        for of, to in self._moves():
            for table in _MOVED:
                statement = query("exchange_move").format(table=sql.Identifier(table))
                conn.execute(statement, {"of": of, "to": to})
        conn.execute(query("exchange_spare_drop"), {"spare": self._spare})
        conn.execute(
            query("exchange_states"),
            {"live": live, "beside": beside, "state": state, "reason": reason},
        )
        for projection in (live, beside):
            conn.execute(query("exchange_terms"), {"projection": projection, "term": self._term})
        conn.execute(query("kept_clear"), (live,))
        conn.execute(query("exchange_told"), {"projection": live})

    def move_schemas(self) -> None:
        """Give each schema the other's name."""
        renames = [
            query("exchange_rename").format(of=sql.Identifier(of), to=sql.Identifier(to))
            for of, to in self._moves()
        ]
        self._conn.execute(sql.SQL(";").join(renames))

    def _moves(self) -> tuple[tuple[str, str], ...]:
        live, beside = self._live, self._beside
        return (live, self._spare), (beside, live), (self._spare, beside)

    def held_ms(self) -> float:
        """Return for how long readers may have waited for this attempt."""
        if self._locked_at is None:
            return 0.0
        return (time.perf_counter() - self._locked_at) * 1000

    def _place(self, projection: str) -> list[tuple[int, int, int]]:
        return self._conn.execute(query("exchange_place"), (projection,)).fetchall()

    def _wait_up_to(self, milliseconds: int) -> None:
        self._conn.execute(query("patience"), (f"{milliseconds}ms",))


def _in_use(conn: psycopg.Connection[Any], projection: str, patience_s: float) -> TablesInUse:
    holders = conn.execute(query("exchange_holders"), (projection,)).fetchall()
    said = "; ".join(f"process {pid} ({name}) for {s or 0:.0f} s" for pid, name, s in holders)
    return TablesInUse(
        f"the live tables were in use for {patience_s:.0f} s without a gap of {_LOCK_MS[-1]} ms"
        + (f": {said}" if said else ""),
        where=f"schema {projection}",
        remedy="nothing was changed; end those transactions, and run it again",
    )
