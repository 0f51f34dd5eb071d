"""Events folded into a store by their kind's `evolve`; the log goes over what the store holds."""

from collections.abc import Iterable, Iterator
from typing import Any

from eventlog.outbox.contract import OutboxRow
from eventlog.stores import Store
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.domain import Kind
from schemas.errors import FerryError


class EventTypeGone(FerryError):
    """The log holds events of a type that the kind no longer declares."""


def events_of(kind: Kind, rows: Iterable[OutboxRow]) -> Iterator[tuple[OutboxRow, Any]]:
    """Yield the events of a kind among rows, as of today; raises EventTypeGone."""
    prefix = f"{kind.name}/"
    readers = kind.readers()
    for row in rows:
        if not row.stream.startswith(prefix):
            continue
        found = envelope.decode(row.event)
        if found.type.startswith(CONTROL_PREFIX):
            continue
        read = readers.get(found.type)
        if read is None:
            raise EventTypeGone(
                f"kind {kind.name!r} has no event type {found.type}, and the log holds one",
                where=f"stream {row.stream}, partition {row.partition}, seq {row.seq}",
                remedy="keep every type that was ever recorded among the kind's `events` or "
                "`upcasters`",
            )
        yield row, read(found.data)


def restore(rows: Iterable[OutboxRow], store: Store, begun: Iterable[str] = ()) -> set[str]:
    """Bring a store to the state that the log holds of its streams; return those streams.

    An entity of a stream in the log is what the log says, whatever the app had; streams that were
    never recorded are left as the app has them. The rows of `begun` streams go on from the state
    that the store has; those of others begin with their first event.
    """
    kind = store.kind
    key_of = kind.key_getter()
    restored = set(begun)
    for row, event in events_of(kind, rows):
        if row.stream not in restored:
            restored.add(row.stream)
            store.forget(row.stream)
        key = key_of(event)
        store.put(key, kind.evolve(store.get(key), event))
    return restored
