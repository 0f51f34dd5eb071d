"""A file's entities by stream, in a temporary SQLite file: judged as a whole before any is used."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from types import TracebackType

import apsw
import msgspec

from eventlog.extraction.reading import Problem, Stated
from schemas.domain import Domain
from schemas.tables import key_text


class Staging:
    """Open while it is entered; SQLite removes the file."""

    def __init__(self, domain: Domain) -> None:
        self._names = domain.type_of
        self._keys = {kind.name: kind.key_getter() for kind in domain.kinds}
        self._streams = {kind.name: kind.stream_getter() for kind in domain.kinds}
        self.entities: dict[str, int] = {}

    def __enter__(self) -> "Staging":
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE entity (line INTEGER PRIMARY KEY, kind, stream, key, type, data)"
        )
        self._db.execute("CREATE UNIQUE INDEX entity_key ON entity (kind, stream, key)")
        self._db.execute("CREATE TABLE known (stream PRIMARY KEY) WITHOUT ROWID")
        self._db.execute("BEGIN")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add(self, stated: Stated) -> Problem | None:
        """Keep one entity; return what is wrong where its key came before."""
        name, event = stated.kind.name, stated.event
        key = self._keys[name](event)
        text = key_text(key if isinstance(key, tuple) else (key,))
        stream = self._streams[name](event)
        self._db.execute(
            "INSERT OR IGNORE INTO entity VALUES (?, ?, ?, ?, ?, ?)",
            (stated.line, name, stream, text, self._names[type(event)], msgspec.json.encode(event)),
        )
        if self._db.changes():
            self.entities[name] = self.entities.get(name, 0) + 1
            return None
        earlier = self._db.execute(
            "SELECT line FROM entity WHERE kind = ? AND stream = ? AND key = ?",
            (name, stream, text),
        ).get
        return Problem(stated.line, f"{name} {text} stands in line {earlier} already")

    def add_known(self, streams: Iterable[str]) -> None:
        """Note streams that the log holds."""
        self._db.executemany(
            "INSERT OR IGNORE INTO known VALUES (?)", ((stream,) for stream in streams)
        )

    def count_known(self) -> int:
        """Return how many of the file's streams the log holds already."""
        found: int = self._db.execute(
            "SELECT count(*) FROM known WHERE stream IN (SELECT stream FROM entity)"
        ).get
        return found

    def unknown(self, domain: Domain) -> Iterator[list[msgspec.Struct]]:
        """Yield each stream that the log does not hold: its events in the order of the file."""
        types = {name: event for name, (_, event) in domain.by_type.items()}
        rows = self._db.execute(
            "SELECT stream, type, data FROM entity WHERE stream NOT IN (SELECT stream FROM known) "
            "ORDER BY kind, stream, line"
        )
        for _, events in groupby(rows, key=lambda row: row[0]):
            yield [msgspec.json.decode(data, type=types[name]) for _, name, data in events]
