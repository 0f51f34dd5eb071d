"""What the readers of one shim share: the route, memory, the tables' connections, the shadow."""

import threading
import time
from typing import TYPE_CHECKING

from eventlog.driver import DriverMissing
from eventlog.entry import StoreMissing
from eventlog.reads.comparison import Comparison
from eventlog.reads.consistent import ConsistentReads
from eventlog.reads.memory import Memory
from eventlog.reads.reader import Reader
from eventlog.reads.route import ReadRoute
from eventlog.reads.sample import Sample, take_sample
from eventlog.reads.shadow import Shadow
from eventlog.reads.unavailable import ReadUnavailable
from eventlog.states import States
from eventlog.stores import Store
from schemas.settings import Settings

if TYPE_CHECKING:
    from eventlog.reads.database import Database
    from eventlog.reads.tables import Tables


class ReadRouting:
    """Gives readers. Nothing is opened before a read needs it."""

    def __init__(self, ferry: States, settings: Settings) -> None:
        self.route = ReadRoute()
        self._ferry = ferry
        self._settings = settings
        self._schema = settings.projection or ferry.domain.name
        self._timeout = settings.reads.timeout_ms / 1000
        self._lock = threading.Lock()
        self._database: Database | None = None
        self._tables: dict[str, Tables] = {}
        self._comparisons: dict[str, Comparison] = {}
        self.shadow = Shadow(self._comparison)

    def reader(self, kind_name: str) -> Reader:
        """Return a reader of one kind; raises DomainInvalid where there is no such kind."""
        tables = self._table_reads(kind_name)
        return Reader(self._memory(kind_name), self.route, tables, self.shadow)

    def sample(self, entities: int = 200, seed: int = 0) -> Sample:
        """Compare a random sample of every registered kind with the tables, as `take_sample`."""
        return take_sample(
            {name: (self._memory(name), self._comparison(name)) for name in self._ferry.stores()},
            entities,
            seed,
        )

    def close(self, timeout: float) -> None:
        """End the comparing and all connections. Reads go on where memory answers."""
        self.shadow.close(timeout)
        with self._lock:
            database = self._database
        if database is not None:
            database.close(timeout)

    # --- parts

    def _memory(self, kind_name: str) -> Memory:
        ferry = self._ferry
        kind = ferry.domain.kind(kind_name)
        return Memory(kind, lambda: self._store(kind_name), ferry.memory_lock)

    def _store(self, kind_name: str) -> Store:
        store = self._ferry.stores().get(kind_name)
        if store is None:
            raise StoreMissing(
                f"no store is registered for kind {kind_name!r}",
                where=f"source {self._ferry.source}",
                remedy=f"call ferry.register({kind_name!r}, container) before reading",
            )
        return store

    def _table_reads(self, kind_name: str) -> ConsistentReads:
        return ConsistentReads(
            self._ferry.domain.kind(kind_name),
            self._ferry,
            self._ferry.identity.partitions,
            lambda: self._tables_of(kind_name),
            self._timeout,
        )

    def _tables_of(self, kind_name: str) -> "Tables":
        with self._lock:
            if kind_name not in self._tables:
                database, make = self._opened()
                kind = self._ferry.domain.kind(kind_name)
                self._tables[kind_name] = make(kind, self._schema, database)
            return self._tables[kind_name]

    def _opened(self) -> "tuple[Database, type[Tables]]":
        postgres = self._settings.postgres
        if not postgres.dsn:
            raise ReadUnavailable(
                "reads go to PostgreSQL, and the app is not told where that is",
                where="`postgres.dsn`, which is empty",
                remedy="set it and start the app again",
            )
        try:
            from eventlog.reads.database import Database  # noqa: PLC0415  (behind the driver)
            from eventlog.reads.tables import Tables  # noqa: PLC0415
        except ImportError as error:
            raise DriverMissing(
                "reads go to PostgreSQL, but psycopg is not installed",
                remedy="pip install 'memferry[control]'",
            ) from error
        if self._database is None:
            self._database = Database(
                postgres.dsn,
                application_name=f"memferry reads {self._ferry.source}",
                connect_timeout_s=postgres.connect_timeout_s,
                statement_timeout_s=self._timeout,
                connections=self._settings.reads.connections,
            )
        return self._database, Tables

    def _comparison(self, kind_name: str) -> Comparison:
        with self._lock:
            if kind_name not in self._comparisons:
                self._comparisons[kind_name] = Comparison(
                    self._memory(kind_name), self._table_reads(kind_name), self._others_write
                )
            return self._comparisons[kind_name]

    def _others_write(self) -> bool:
        from eventlog.reads.tables import others_write  # noqa: PLC0415  (behind the driver)

        with self._lock:
            database, _ = self._opened()
        deadline = time.monotonic() + self._timeout
        return others_write(database, self._schema, self._ferry.source, deadline)
