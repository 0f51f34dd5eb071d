"""The way into transactions of the app's own; psycopg is loaded where one is asked for."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from eventlog.driver import load_driver
from eventlog.outbox.contract import Outbox
from eventlog.recorder import Recorder
from schemas.errors import FerryError

if TYPE_CHECKING:
    from eventlog.transaction import CallersTransaction, Connection


class OutboxElsewhere(FerryError):
    """The outbox is not where the app's own transaction is."""


def transaction_of(
    ferry: Recorder, outbox: Outbox, conn: "Connection", timeout: float
) -> "AbstractContextManager[CallersTransaction]":
    """Return a transaction on the app's connection, to be entered; raises OutboxElsewhere."""
    load_driver("the app records in a transaction of PostgreSQL")
    from eventlog.outbox.postgres import PostgresOutbox  # noqa: PLC0415  (behind the driver)
    from eventlog.transaction import callers_transaction  # noqa: PLC0415

    if not isinstance(outbox, PostgresOutbox):
        raise OutboxElsewhere(
            "the outbox is a file: it cannot commit with a transaction of a database",
            where=outbox.place,
            remedy='set `outbox.kind` to "postgres" and `outbox.dsn` to the app\'s database',
        )
    return callers_transaction(ferry, outbox, conn, timeout)
