"""Memory comes back after a restart: the outbox's own events, folded by the kinds' `evolve`.

The outbox holds every event of its source, so the fold is whole.
"""

from collections.abc import Iterable

import msgspec

from eventlog.outbox.contract import OutboxRow
from eventlog.stores import Store
from schemas import envelope
from schemas.control import CONTROL_PREFIX


def restore(rows: Iterable[OutboxRow], store: Store) -> set[str]:
    """Bring a store to the state that the log holds of its streams; return those streams.

    An entity of a stream in the log is what the log says, whatever the app had; streams that were
    never recorded are left as the app has them.
    """
    kind = store.kind
    prefix = f"{kind.name}/"
    decoders = {name: msgspec.json.Decoder(event) for name, event in kind.events.items()}
    key_of = kind.key_getter()
    restored: set[str] = set()
    for row in rows:
        if not row.stream.startswith(prefix):
            continue
        found = envelope.decode(row.event)
        if found.type.startswith(CONTROL_PREFIX):
            continue
        if row.stream not in restored:
            restored.add(row.stream)
            store.forget(row.stream)
        event = decoders[found.type].decode(found.data)
        key = key_of(event)
        store.put(key, kind.evolve(store.get(key), event))
    return restored
