"""A small pool of PostgreSQL connections for reads: it says at once when the database is away.

The pool is opened by the first read that needs it. Import this only where psycopg is installed.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import psycopg
from psycopg import IsolationLevel
from psycopg.conninfo import conninfo_to_dict
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from eventlog.reads.sql import query
from eventlog.reads.unavailable import ReadUnavailable

T = TypeVar("T")
Connection = psycopg.Connection[Any]

_LOOK_S = 1.0
"""How long a read waits for a connection before it looks whether the database is there at all."""


class Database:
    """Runs reads on its connections: read only, times in UTC, each with a deadline."""

    def __init__(
        self,
        dsn: str,
        *,
        application_name: str,
        connect_timeout_s: int,
        statement_timeout_s: float,
        connections: int,
    ) -> None:
        self._dsn = dsn
        self._connect_timeout_s = connect_timeout_s
        self._connections = connections
        self._statement_timeout_ms = max(1, round(statement_timeout_s * 1000))
        self._given: dict[str, Any] = {
            "autocommit": True,
            "application_name": application_name,
            "connect_timeout": connect_timeout_s,
            "tcp_user_timeout": self._statement_timeout_ms,
        }
        self._pool: ConnectionPool[Connection] | None = None
        self._opening = threading.Lock()
        self._doubtful = True  # the database was away, or was never seen
        self._closed = False

    def run(self, work: Callable[[Connection], T], deadline: float) -> T:
        """Return what `work` reads on one connection; `deadline` is of the monotonic clock.

        A connection that had died unnoticed is replaced, once: reads can be repeated.
        Raises: ReadUnavailable.
        """
        for repeated in (False, True):
            pool = self._opened(deadline)
            conn = self._take(pool, deadline)
            try:
                return work(conn)
            except psycopg.Error as error:
                if repeated or not conn.broken:
                    self._doubtful = conn.broken
                    self._refuse(error)
            finally:
                pool.putconn(conn)
            pool.check()  # those that died with it
        raise AssertionError("the second attempt returns or raises")

    def close(self, timeout: float) -> None:
        """End all connections; later reads are refused."""
        with self._opening:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout)

    def _opened(self, deadline: float) -> "ConnectionPool[Connection]":
        if self._doubtful:
            self._look(deadline)
        with self._opening:
            if self._closed:
                raise ReadUnavailable("the shim is closed", remedy="attach again to read more")
            if self._pool is None:
                self._pool = ConnectionPool(
                    self._dsn,
                    kwargs=self._given,
                    min_size=1,
                    max_size=self._connections,
                    open=True,
                    configure=self._configure,
                    name=self._given["application_name"],
                    num_workers=1,
                    reconnect_timeout=0,  # the next read that wants one tries again
                )
            return self._pool

    def _configure(self, conn: Connection) -> None:
        conn.execute(query("session"), (str(self._statement_timeout_ms),))
        conn.isolation_level = IsolationLevel.REPEATABLE_READ
        conn.read_only = True

    def _take(self, pool: "ConnectionPool[Connection]", deadline: float) -> Connection:
        while (left := deadline - time.monotonic()) > 0:
            try:
                return pool.getconn(timeout=min(left, _LOOK_S))
            except PoolTimeout:
                self._look(deadline)
            except PoolClosed as error:
                self._refuse(error)
        raise ReadUnavailable(
            f"no connection was free in time, all {self._connections} are in use",
            where="the shim's connections for reads",
            remedy="ask for less at once (a limit), or raise `reads.connections`",
        )

    def _look(self, deadline: float) -> None:
        """Connect once, apart from the pool: it says what is wrong, the pool does not."""
        try:
            conninfo_to_dict(self._dsn)
        except psycopg.ProgrammingError:  # what it says may hold the password
            raise ReadUnavailable(
                "the connection string cannot be read",
                where="`postgres.dsn`, not shown because it may hold a password",
                remedy="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE",
            ) from None
        left = min(self._connect_timeout_s, max(2, round(deadline - time.monotonic())))
        try:
            psycopg.connect(self._dsn, **self._given | {"connect_timeout": left}).close()
        except psycopg.Error as error:
            self._doubtful = True
            self._refuse(error)
        self._doubtful = False

    @staticmethod
    def _refuse(error: Exception) -> NoReturn:
        said = str(error).strip().partition("\n")[0]
        raise ReadUnavailable(
            f"reads go to PostgreSQL, and it does not give the answer: {said}",
            where="`postgres.dsn`",
            remedy="bring PostgreSQL back, or take reads back to memory: `memferry switch-back`",
        ) from error
