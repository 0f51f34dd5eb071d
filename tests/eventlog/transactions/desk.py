"""An app whose orders are rows of its own database, with its outbox beside them."""

import secrets
from collections import deque
from typing import Any

import msgspec
import psycopg

from eventlog.outbox.contract import OutboxIdentity, OutboxRow
from eventlog.outbox.opening import open_outbox, open_reader
from eventlog.shim import Ferry
from schemas.position import FIRST_GENERATION
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN, Account, Reading
from tests.eventlog.app import DEADLINE_S, Memory, by_number, fold, new_rings

PARTITIONS = 3


def in_postgres(settings: Settings, dsn: str = "") -> Settings:
    """Return settings with an outbox in the stack's database, in a schema of its own."""
    schema = f"outbox_{secrets.token_hex(5)}"
    outbox = msgspec.structs.replace(settings.outbox, kind="postgres", schema=schema, dsn=dsn)
    return msgspec.structs.replace(settings, outbox=outbox)


class Desk:
    """A shim without a relay; `orders` is the app's own table."""

    def __init__(
        self,
        settings: Settings,
        accounts: dict[str, Account] | None = None,
        rings: "dict[str, deque[Reading]] | None" = None,
    ) -> None:
        self.settings = settings
        identity = OutboxIdentity(settings.source, settings.topic, FIRST_GENERATION, PARTITIONS)
        self.outbox: Any = open_outbox(settings, identity)
        self.ferry = Ferry(settings, self.outbox, DOMAIN)
        self.accounts = {} if accounts is None else accounts
        self.rings = new_rings() if rings is None else rings
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)
        self._conns: list[psycopg.Connection[Any]] = []
        self.orders = f"{settings.outbox.schema}.orders"
        self.conn = self.connect()
        with self.conn.transaction():
            self.conn.execute(
                f"CREATE TABLE IF NOT EXISTS {self.orders} (name text UNIQUE DEFERRABLE INITIALLY "
                "DEFERRED)"
            )

    def connect(self, dsn: str = "", **given: Any) -> psycopg.Connection[Any]:
        """Return one more connection of the app's own."""
        conn: psycopg.Connection[Any] = psycopg.connect(dsn or self.settings.postgres.dsn, **given)
        self._conns.append(conn)
        return conn

    def ordered(self) -> set[str]:
        """Return what the app's own table holds."""
        with self.conn.transaction():
            return {name for (name,) in self.conn.execute(f"SELECT name FROM {self.orders}")}

    def order(self, conn: psycopg.Connection[Any], name: str) -> None:
        conn.execute(f"INSERT INTO {self.orders} VALUES (%s)", (name,))

    def rows(self) -> list[OutboxRow]:
        """Return everything that is durable."""
        reader = open_reader(self.settings)
        try:
            return reader.rows(0, 1_000_000)
        finally:
            reader.close()

    def memory(self) -> Memory:
        return {"account": dict(self.accounts), "reading": by_number(self.rings)}

    def logged(self) -> Memory:
        """Return what the log says of memory; readings that rings evicted are left out."""
        said = fold(self.rows())
        kept = self.memory()["reading"].keys()
        return said | {"reading": {k: r for k, r in said["reading"].items() if k in kept}}

    def close(self) -> None:
        for conn in self._conns:
            conn.close()
        self.ferry.close(DEADLINE_S)
