"""The outbox that the settings name, whichever kind it is: to write, to read, to relay from."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from eventlog.driver import load_driver
from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from schemas.errors import FerryError, SettingsInvalid
from schemas.settings import Settings

if TYPE_CHECKING:
    from eventlog.outbox.postgres import PostgresOutbox
    from eventlog.outbox.postgres_place import Place
    from eventlog.outbox.postgres_reader import PostgresOutboxReader

AnyOutbox: TypeAlias = Union[SqliteOutbox, "PostgresOutbox"]
AnyReader: TypeAlias = Union[SqliteOutboxReader, "PostgresOutboxReader"]


class RelayInUse(FerryError):
    """Another relay serves this outbox."""


def open_outbox(settings: Settings, identity: OutboxIdentity) -> AnyOutbox:
    """Open the outbox for writing, made where it is missing.

    Raises: OutboxInUse, OutboxInvalid; for PostgreSQL OutboxAway, DriverMissing, SettingsInvalid.
    """
    if settings.outbox.kind == "sqlite":
        return SqliteOutbox(settings.outbox_path, identity)
    place = postgres_place(settings)
    from eventlog.outbox.postgres import PostgresOutbox  # noqa: PLC0415  (behind the driver)

    return PostgresOutbox(place, identity)


def open_reader(settings: Settings) -> AnyReader:
    """Open the outbox for reading; raises as `open_outbox` does, OutboxInvalid where none is."""
    if settings.outbox.kind == "sqlite":
        return SqliteOutboxReader(settings.outbox_path)
    place = postgres_place(settings)
    from eventlog.outbox.postgres_reader import PostgresOutboxReader  # noqa: PLC0415

    return PostgresOutboxReader(place)


def has_outbox(settings: Settings) -> bool:
    """Say whether there is an outbox, of whatever source; makes none."""
    if settings.outbox.kind == "sqlite":
        return settings.outbox_path.exists()
    place = postgres_place(settings)
    from eventlog.outbox.postgres_place import first_connection, read_identity  # noqa: PLC0415

    with first_connection(place, "outbox reader") as conn:
        return read_identity(conn, place) is not None


def place_of(settings: Settings) -> str:
    """Return where the outbox is, for people."""
    if settings.outbox.kind == "sqlite":
        return str(settings.outbox_path)
    return f"schema {settings.outbox.schema} of `outbox.dsn`"


def require_file(settings: Settings, wanted_by: str) -> None:
    """Check that the outbox is a file; raises SettingsInvalid naming what needs one."""
    if settings.outbox.kind != "sqlite":
        raise SettingsInvalid(
            f"{wanted_by} is for outboxes that are files; this one is in PostgreSQL",
            where=place_of(settings),
            remedy="a dead instance's lock ends with its connection: start the app again, or "
            "look at the schema's tables",
        )


def lock_relay(settings: Settings, reader: AnyReader) -> Callable[[], None]:
    """Take the right to relay; return what gives it back. Raises RelayInUse."""
    if isinstance(reader, SqliteOutboxReader):
        handle = _lock_file(settings.outbox_path, reader.writer())
        return lambda: os.close(handle)
    if not reader.hold_relay():
        raise _in_use(str(reader.path))
    return reader.close


def postgres_place(settings: Settings) -> "Place":
    """Return where a PostgreSQL outbox is; raises DriverMissing, SettingsInvalid."""
    load_driver('`outbox.kind` is "postgres"')
    from eventlog.outbox.postgres_place import Place  # noqa: PLC0415  (behind the driver)

    dsn = settings.outbox.dsn or settings.postgres.dsn
    if not dsn:
        raise SettingsInvalid(
            '`outbox.kind` is "postgres", and it is not said where that is',
            where="`outbox.dsn` and `postgres.dsn`, both empty",
            remedy="set `outbox.dsn` to the app's own database",
        )
    return Place(dsn, settings.outbox.schema, settings.postgres.connect_timeout_s)


def _lock_file(outbox: Path, writer: int) -> int:
    # A generation of the file has a lock of its own: a stopped process may hold the old one.
    name = f"{outbox}.relay" if writer == 1 else f"{outbox}.{writer}.relay"
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise _in_use(str(outbox)) from error
    return handle


def _in_use(where: str) -> RelayInUse:
    return RelayInUse(
        "another relay serves this outbox",
        where=where,
        remedy='stop it, or set `relay.mode = "process"` where the app should not relay itself',
    )
