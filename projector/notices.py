"""What PostgreSQL announces by NOTIFY, to whoever awaits it: nothing is asked again and again."""

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projector.control_tables import DatabaseUnreachable, connect
from schemas.settings import Settings

_KEEPALIVE = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
"""Seconds, seconds, tries: a server that went away without a word is noticed by these alone."""


class Notice(NamedTuple):
    """One announcement: what was notified where."""

    channel: str
    payload: str


class Notices:
    """A connection that listens to some channels, for one event loop; use `async with`.

    Whatever is committed after `async with` has begun is heard: look at the tables then, and no
    change falls between the look and the wait. Equal notices that wait to be taken are one.
    Raises: DatabaseUnreachable at the start, and from `next` once the connection has ended.
    """

    def __init__(self, settings: Settings, role: str, channels: Sequence[str]) -> None:
        self._settings = settings
        self._role = role
        self._channels = tuple(channels)
        self._waiting: dict[Notice, None] = {}
        self._news = asyncio.Event()
        self._lost: DatabaseUnreachable | None = None
        self._conn: psycopg.Connection[Any] | None = None
        self._socket = -1  # kept apart: a connection that is lost does not tell it any more

    async def __aenter__(self) -> "Notices":
        conn = await asyncio.to_thread(self._listening)
        self._conn, self._socket = conn, conn.fileno()
        asyncio.get_running_loop().add_reader(self._socket, self._receive, conn)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def __aiter__(self) -> "Notices":
        return self

    async def __anext__(self) -> Notice:
        return await self.next()

    async def next(self) -> Notice:
        """Return the earliest notice not taken yet, once there is one; may be cancelled safely.

        Raises: DatabaseUnreachable once the connection has ended and every notice is taken.
        """
        while not self._waiting:
            if self._lost is not None:
                raise self._lost
            self._news.clear()
            await self._news.wait()
        notice = next(iter(self._waiting))
        del self._waiting[notice]
        return notice

    def _listening(self) -> psycopg.Connection[Any]:
        conn = connect(kept_alive(self._settings), self._role)
        try:
            conn.add_notify_handler(self._hear)  # of what comes while another LISTEN is answered
            for channel in self._channels:
                conn.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
        except psycopg.Error as error:
            conn.close()
            raise _ended(error) from error
        return conn

    def _hear(self, notify: psycopg.Notify) -> None:
        self._waiting[Notice(notify.channel, notify.payload)] = None

    def _receive(self, conn: psycopg.Connection[Any]) -> None:
        """Take what the socket holds; called by the event loop when it holds something."""
        try:
            conn.pgconn.consume_input()
        except psycopg.Error as error:
            self._lost = _ended(error)
            self._end()
        else:
            while found := conn.pgconn.notifies():
                self._waiting[Notice(found.relname.decode(), found.extra.decode())] = None
        self._news.set()

    def _end(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            conn.close()


def kept_alive(settings: Settings) -> Settings:
    """Return settings whose connections notice a silent end, where they do not say how."""
    with contextlib.suppress(psycopg.ProgrammingError):  # `connect` says what is wrong with it
        said = conninfo_to_dict(settings.postgres.dsn)
        dsn = make_conninfo(
            settings.postgres.dsn, **{k: v for k, v in _KEEPALIVE.items() if k not in said}
        )
        postgres = msgspec.structs.replace(settings.postgres, dsn=dsn)
        return msgspec.structs.replace(settings, postgres=postgres)
    return settings


def _ended(error: psycopg.Error) -> DatabaseUnreachable:
    said = str(error).strip() or type(error).__name__
    return DatabaseUnreachable(
        f"the connection that listens to PostgreSQL ended: {said.splitlines()[0]}",
        where="`postgres.dsn`",
        remedy="start PostgreSQL again, or see its log for why it ended the connection",
    )
