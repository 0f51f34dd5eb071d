"""Registered stores brought back after a restart: the way that the settings name, or the cheapest.

Source: docs/restart.md
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, TypeAlias

from eventlog.driver import DriverMissing, load_driver
from eventlog.outbox.contract import OutboxIdentity, OutboxReader, OutboxRow
from eventlog.restart.fold import restore
from eventlog.restart.log import LogCut
from eventlog.restart.mends import read_mends
from eventlog.restart.tail import RestartIncomplete, Tail
from eventlog.restart.unusable import TablesUnusable
from eventlog.stores import Store
from eventlog.voids import OwnVoids
from eventlog.window_store import WindowStore
from schemas.domain import Kind
from schemas.entities import KindNotReadable
from schemas.lane import LaneBroken, LaneHead
from schemas.mend import Mend
from schemas.settings import Settings

if TYPE_CHECKING:
    from eventlog.restart.tables import KindSnapshot

_CHUNK_ROWS = 10_000
Way: TypeAlias = Literal["outbox", "tables", "log"]
log = logging.getLogger("memferry.restart")
TABLES_LEFT = (
    DriverMissing, KindNotReadable, TablesUnusable, RestartIncomplete, LaneBroken, LogCut,
)  # fmt: skip
"""Why `auto` leaves the tables for the log, which is proven by itself."""


class MemoryRestart:
    """Brings stores back to what the durable events of their streams made of them.

    `until` are the outbox's heads as this process found them; `voids` tells which events up to
    there do not count any more. `ways` says which way each kind took.
    """

    def __init__(
        self,
        settings: Settings,
        schema: str,
        identity: OutboxIdentity,
        open_reader: Callable[[], OutboxReader],
        until: Mapping[int, LaneHead],
        *,
        voids: Callable[[], OwnVoids],
    ) -> None:
        self._voids = voids
        self._settings = settings
        self._schema = schema
        self._identity = identity
        self._open_reader = open_reader
        self._until = dict(until)
        # Apart: one begins from what the tables say, and proves it; the other from nothing.
        self._behind_tables: Tail | None = None
        self._whole: Tail | None = None
        self.ways: dict[str, Way] = {}

    def bring_back(self, store: Store) -> set[str]:
        """Bring one store back; return the streams that the log holds.

        Raises: RestartIncomplete, LogCut, BrokerUnreachable, LaneBroken; TablesUnusable and
                KindNotReadable where the settings demand the tables.
        """
        named = self._settings.restart.memory_from
        if named in {"auto", "outbox"}:
            restored = self._from_outbox(store, demanded=named == "outbox")
            if restored is not None:
                return self._took(store, "outbox", restored)
        if named == "tables" or (named == "auto" and self._settings.postgres.dsn):
            restored = self._from_tables(store, demanded=named == "tables")
            if restored is not None:
                return self._took(store, "tables", restored)
        return self._took(store, "log", self._from_log(store))

    def close(self, timeout: float = 0.0) -> None:
        """Give the disk back."""
        del timeout
        for tail in (self._behind_tables, self._whole):
            if tail is not None:
                tail.close()

    def _took(self, store: Store, way: Way, streams: set[str]) -> set[str]:
        name = store.kind.name
        self.ways[name] = way
        log.info("kind %s: %d streams came back from the %s", name, len(streams), way)
        for tail in (self._behind_tables, self._whole):
            if tail is not None:
                tail.drop(name)
        return streams

    # --- the three ways

    def _from_outbox(self, store: Store, *, demanded: bool) -> set[str] | None:
        reader = self._open_reader()
        try:
            # Rows are pruned from the oldest on, so a lane's first event stands for all of them.
            cut = [p for p in self._until if p >= 0 and reader.at(p, 1) is None]
            if cut:
                if not demanded:
                    return None
                raise RestartIncomplete(
                    f"the outbox was pruned: it no longer holds the first events of {cut}",
                    where=f"source {self._identity.source}, partitions {cut}",
                    remedy='set `restart.memory_from` to "auto", "tables" or "log"',
                )
            return restore(self._voids().counting(every_row(reader)), store)
        finally:
            reader.close()

    def _from_tables(self, store: Store, *, demanded: bool) -> set[str] | None:
        kind = store.kind
        try:
            require_told_by_tables(store)
            found = self._read_tables(store)
            require_obeying(found, self._voids(), kind)
            tail = self._behind(found)
        except TABLES_LEFT as error:
            if demanded:
                raise
            log.warning("kind %s comes back from the log: %s", kind.name, error.what)
            return None

        def behind() -> Iterable[OutboxRow]:
            return self._voids().counting(tail.of_kind(kind.name, found.heads))

        stream_of, key_of = kind.stream_getter(), kind.key_getter()
        begun = {stream_of(entity) for entity in found.entities}
        own = set(store.streams()) - begun
        if own and own - {row.stream for row in behind()}:
            # A stream without rows has ended, or was never recorded: only the log tells which.
            return None
        for stream in begun:
            store.forget(stream)
        for entity in found.entities:
            store.put(key_of(entity), entity)
        return restore(behind(), store, begun)

    def _read_tables(self, store: Store) -> "KindSnapshot":
        load_driver("memory is to come back from the tables")
        from eventlog.restart.tables import read_kind  # noqa: PLC0415  (behind the driver)

        window = store.window() if isinstance(store, WindowStore) else None
        return read_kind(self._settings, self._schema, self._identity, store.kind, window)

    def _from_log(self, store: Store) -> set[str]:
        if self._whole is None:
            begin = dict.fromkeys(range(self._identity.partitions), 0)
            self._whole = self._tail({}, begin, read_mends(self._settings))
        return restore(self._voids().counting(self._whole.of_kind(store.kind.name, {})), store)

    def _behind(self, found: "KindSnapshot") -> Tail:
        """Return a tail that begins at the tables' heads, or where they were for another kind."""
        tail = self._behind_tables
        if tail is not None:
            heads = found.heads
            if all(p in heads and head.seq <= heads[p].seq for p, head in tail.began.items()):
                return tail
            tail.close()
        self._behind_tables = self._tail(found.heads, found.offsets, found.mends)
        return self._behind_tables

    def _tail(
        self,
        heads: Mapping[int, LaneHead],
        offsets: Mapping[int, int],
        mends: Iterable[Mend],
    ) -> Tail:
        return Tail(self._settings, self._open_reader, self._until, heads, offsets, mends=mends)


def require_told_by_tables(store: Store) -> None:
    """Check that a table says what memory holds; raises TablesUnusable."""
    if not getattr(store, "told_by_tables", True):
        raise TablesUnusable(
            f"the table of {store.kind.name!r} holds items that the ring lost, too",
            where=f"kind {store.kind.name}, {store.container}",
            remedy="none is needed: the log says what it holds",
        )


def require_obeying(found: "KindSnapshot", voids: OwnVoids, kind: Kind) -> None:
    """Check that rows obey just those voids that say something of them; raises TablesUnusable."""
    wanted, obeyed = voids.concerning(found.heads), voids.concerned(found.voids, found.heads)
    if wanted != obeyed:
        raise TablesUnusable(
            f"the rows of {kind.name!r} do not obey the same voids as the log: "
            f"{', '.join(sorted(wanted ^ obeyed))}",
            where="memferry.projection, column voids",
            remedy="none is needed: the log is read; `memferry replay --to-end` makes the tables "
            "anew",
        )


def every_row(reader: OutboxReader, after: int = 0) -> Iterator[OutboxRow]:
    """Yield everything that an outbox holds behind a row."""
    rows = reader.rows(after, _CHUNK_ROWS)
    while rows:
        yield from rows
        rows = reader.rows(rows[-1].row, _CHUNK_ROWS)
