"""Where a PostgreSQL outbox is: its database and schema, and a connection to it.

Import this, as its neighbours, only where psycopg is installed.
"""

import os
import socket
import time
from typing import Any, NamedTuple

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row

from eventlog.outbox.contract import OutboxIdentity, OutboxInUse, OutboxInvalid
from eventlog.outbox.postgres_sql import query
from schemas.errors import FerryError
from schemas.lane import LaneHead

FORMAT = 1
LOCK_WAIT_S = 5.0
PAUSE_S = 0.05
_SILENCE_MS = 15_000
"""How long a server may not acknowledge what was sent before the connection counts as broken."""
Connection = psycopg.Connection[Any]


class OutboxAway(FerryError):
    """The database of the outbox does not answer."""


class Place(NamedTuple):
    """A database and the schema in it that is one outbox."""

    dsn: str
    schema: str
    connect_timeout_s: int = 10

    def __str__(self) -> str:
        try:
            info = conninfo_to_dict(self.dsn)
        except psycopg.ProgrammingError:  # what it says may hold the password
            return f"schema {self.schema}, `outbox.dsn`"
        return f"schema {self.schema}, database {info.get('dbname', 'default')}"

    def connect(self, role: str) -> Connection:
        """Return a connection with autocommit on; raises psycopg.OperationalError."""
        return psycopg.connect(
            self.dsn,
            autocommit=True,
            connect_timeout=self.connect_timeout_s,
            tcp_user_timeout=_SILENCE_MS,
            application_name=f"memferry {role}",
            row_factory=tuple_row,
        )


def first_connection(place: Place, role: str) -> Connection:
    """Return a connection; raises OutboxAway, which does not show what may hold a password."""
    try:
        return place.connect(role)
    except psycopg.Error as error:
        readable = isinstance(error, psycopg.OperationalError)
        raise OutboxAway(
            "the outbox's database cannot be reached: "
            + (str(error).strip() if readable else "its connection string cannot be read"),
            where=str(place),
            remedy="start PostgreSQL, or correct `outbox.dsn` (`postgres.dsn` where it is empty)",
        ) from (error if readable else None)


def read_identity(conn: Connection, place: Place) -> tuple[OutboxIdentity, str] | None:
    """Return whose outbox this is and who opened it last, None where there is none.

    Raises: OutboxInvalid.
    """
    name = psycopg.sql.Identifier(place.schema, "identity").as_string(conn)
    (found,) = conn.execute(query("identity_found", place.schema), (name,)).fetchone() or (False,)
    row = conn.execute(query("identity_read", place.schema)).fetchone() if found else None
    if row is None:
        return None
    version, content, holder = row
    if version != FORMAT:
        raise OutboxInvalid(
            f"the outbox has format {version}, this memferry writes format {FORMAT}",
            where=str(place),
            remedy=f"run the memferry that wrote it, or one that knows format {version}",
        )
    return msgspec.json.decode(content, type=OutboxIdentity), holder


def read_heads(conn: Connection, schema: str) -> dict[int, LaneHead]:
    """Return the last event of each lane."""
    rows = conn.execute(query("lanes_read", schema)).fetchall()
    return {partition: LaneHead(seq, digest, epoch) for partition, seq, digest, epoch in rows}


def read_firsts(conn: Connection, schema: str) -> dict[int, int]:
    """Return the first event of each lane that is not pruned."""
    return dict(conn.execute(query("firsts_read", schema)).fetchall())


def hold(conn: Connection, key: str) -> bool:
    """Take a lock that lasts as long as the connection; say whether it was free."""
    (taken,) = conn.execute(query("lock_try", ""), (key,)).fetchone() or (False,)
    return bool(taken)


def lock_for_writing(conn: Connection, place: Place, *, patient: bool) -> None:
    """Take the lock: one that died may hold it for the moment that its connection takes.

    `patient` waits for this process's own connection that was cut, too.
    """
    deadline = time.monotonic() + LOCK_WAIT_S
    while not hold(conn, f"memferry outbox {place.schema}"):
        found = read_identity(conn, place)
        holder, _, host = (found[1] if found else "another process").partition(" on ")
        ours = (holder, host) == (f"process {os.getpid()}", socket.gethostname())
        if (ours and not patient) or time.monotonic() > deadline:
            raise OutboxInUse(
                f"{holder} has the outbox open for writing",
                where=f"{place}" + (f", host {host}" if host else ""),
                remedy="stop that process, or give this instance a source and outbox of its "
                "own (`outbox.schema`)",
            )
        time.sleep(PAUSE_S)


def describe(identity: OutboxIdentity) -> str:
    """Say whose outbox it is, for people."""
    return (
        f"source {identity.source!r}, topic {identity.topic!r} generation {identity.generation} "
        f"with {identity.partitions} partitions"
    )
