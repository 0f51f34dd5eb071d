"""memferry's own events as a source records them: openings, barriers, its retirement."""

import time
from collections.abc import Callable

import msgspec

from eventlog.receipts import Promises, Receipt
from schemas import envelope
from schemas.control import CONTROL_TYPE_OF, ControlEvent


class ControlEvents:
    """Makes receipts, not queued yet, of a source's control events; under the shim's lock."""

    def __init__(self, source: str, promises: Promises, new_id: Callable[[], str]) -> None:
        self._stream = f"memferry/{source}"
        self._promises = promises
        self._new_id = new_id
        self._heads = {
            event: envelope.HeadWriter(source, name).head for event, name in CONTROL_TYPE_OF.items()
        }

    def receipt(self, event: ControlEvent, partition: int, epoch: int = 0) -> Receipt:
        """Return the receipt of an event for a lane, which is raised to `epoch` by it."""
        event_id = self._new_id()
        head = self._heads[type(event)](self._stream, event_id, time.time_ns())
        data = msgspec.json.encode(event)
        return Receipt(self._promises, event_id, partition, self._stream, head, data, epoch=epoch)
