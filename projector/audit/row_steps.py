"""One row through the events of its stream: what each of them left of it."""

from collections.abc import Callable
from typing import Any

from projector.audit.judgement import LogEvent, Step
from schemas.digest import bucket_of, value_text
from schemas.domain import Kind
from schemas.envelope import Envelope
from schemas.tables import Delete, Patch, Row, Table, key_text


class RowSteps:
    """Folds a stream's events, of which it keeps those that move the entity of one row."""

    def __init__(self, kind: Kind, table: Table, key: str) -> None:
        self._kind = kind
        self._table = table
        self._key = key
        self._readers = kind.readers()
        self._entity_key = kind.key_getter()
        self._entities: dict[Any, Any] = {}
        # Where the table's key is the entity's, others of the stream need no fold.
        self._only_own = set(table.key) == set(kind.key)
        self._waits = ""
        self.steps: list[Step] = []
        self.bucket: int | None = None
        """The row's, where there ever was one."""
        self.row: Row | None = None
        """The row as it was last."""

    def add(self, event: Envelope, place: LogEvent) -> None:
        """Fold one event of the stream; after one that does not follow all others wait."""
        read = self._readers.get(event.type)
        if read is None:
            return
        decoded = read(event.data)
        own = self._entity_key(decoded)
        if self._only_own and not self._is_own(decoded):
            return
        before = self._entities.get(own)
        after, refused = before, self._waits
        if not refused:
            try:
                after = self._kind.evolve(before, decoded)
            except Exception as error:  # the domain's code may raise anything
                refused = str(error).splitlines()[0] if str(error) else repr(error)
                self._waits = f"it waits behind offset {place.offset}"
        if after is None:
            self._entities.pop(own, None)
        else:
            self._entities[own] = after
        had, has = self._texts(before), self._texts(after)
        if had is not None or has is not None or (self._only_own and (refused or self.steps)):
            self.steps.append(Step(place, has, refused))

    def _is_own(self, decoded: Any) -> bool:
        return key_text(tuple(getattr(decoded, name) for name in self._table.key)) == self._key

    def _texts(self, entity: Any) -> tuple[str, ...] | None:
        if entity is None:
            return None
        for table, row in self._kind.rows(entity):
            if table.name == self._table.name and key_text(table.key_of(row)) == self._key:
                self.bucket, self.row = bucket_of(table, row), row
                return tuple(value_text(value) for value in row)
        return None


def stream_finder(kind: Kind, table: Table, key: str) -> Callable[[Envelope], str]:
    """Return a function: event → its stream where it touches the row, else nothing."""
    readers = kind.readers()

    def stream_of(event: Envelope) -> str:
        read = readers.get(event.type)
        if read is None:
            return ""
        for change in kind.project(read(event.data)):
            named = change.key if isinstance(change, Patch | Delete) else table.key_of(change.row)
            if change.table.name == table.name and key_text(named) == key:
                return event.subject
        return ""

    return stream_of
