"""An app without a broker, and its tables in PostgreSQL, which follow it when a test says so."""

from typing import Any

import msgspec
import psycopg

from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from eventlog.reads.routing import ReadRouting
from eventlog.receipts import Watermark
from projector.apply import Applier
from projector.control_tables import establish
from projector.fold import Fold
from schemas import envelope
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import DEADLINE_S, App


class Followed:
    """What the relay, Kafka and the projector do, in one step: `catch_up`."""

    def __init__(self, app: App, settings: Settings, database: psycopg.Connection[Any]) -> None:
        self.app = app
        self.ferry = app.ferry
        self.database = database
        self.schema = settings.projection
        partitions = app.ferry.identity.partitions
        establish(database, settings, DOMAIN, partitions)
        self._applier = Applier(database, settings.projection, DOMAIN.tables.values())
        self._row = 0
        self._marks = {partition: Watermark() for partition in range(partitions)}
        self.ferry.promises.serve_applied(self._marks)
        self.reads = ReadRouting(self.ferry, settings)
        self.accounts = self.reads.reader("account")
        self.readings = self.reads.reader("reading")

    def to(self, route: Any) -> None:
        self.reads.route.set(route, self.reads.route.now.decision + 1)

    def catch_up(self) -> None:
        """Bring everything recorded into the tables, and say so to those who wait."""
        self.ferry.durable.wait(self.ferry.recorded_position(), DEADLINE_S)
        reader = SqliteOutboxReader(self.app.path)
        rows = reader.rows(self._row, 1_000_000)
        reader.close()
        fold = Fold(DOMAIN.tables.values())
        for row in rows:
            found = envelope.decode(row.event)
            if not found.type.startswith("memferry."):
                kind, event = DOMAIN.by_type[found.type]
                for change in kind.project(msgspec.json.decode(found.data, type=event)):
                    fold.add(change)
        with self.database.transaction():
            self._applier.apply(fold)
        for row in rows:
            self._row = row.row
            if row.partition in self._marks:
                self._marks[row.partition].advance(row.seq)

    def sql(self, statement: str, *values: Any) -> None:
        """Do something to the tables behind everybody's back."""
        self.database.execute(f"SET search_path TO {self.schema}")
        self.database.execute(statement, values)

    def close(self) -> None:
        self.reads.close(DEADLINE_S)
