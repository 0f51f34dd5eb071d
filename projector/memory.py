"""What a projector may hold in memory: its limit, divided over what holds records.

A byte of the log costs more than a byte on its way. The two factors are measured, over events of
400 to 500,000 bytes; tests/projector/test_memory.py measures again.
"""

from schemas.errors import SettingsInvalid
from schemas.settings import Settings

MEBIBYTE = 1024 * 1024
FETCHED_COST = 4
"""Bytes for each byte that is fetched: the answer as it arrives, its partitions' parts cut out of
it, what is left of the one before, and what is unpacked of them. Measured: 3.0 to 3.4."""
BATCH_COST = 4
"""Bytes for each byte of a batch's events: the record, its data decoded, rows, and COPY's text.
Measured: 1.5 where events are large, up to 3 where they are small and have many columns."""
BATCHES = 2
"""Of one worker: one that is handled, while the one before it is applied."""


class Budget:
    """How `projector.memory_limit_mb` is divided, for one process that has `partitions` of a topic.

    A share of each partition holds one fetch, a share of each worker two batches; what the
    fetches do not need is the batches'. What the process takes at rest is not counted.
    Units:  bytes.
    Raises: SettingsInvalid where a share is too small for an event of `kafka.max_event_bytes`.
    """

    fetch_bytes: int
    """Most that one fetch from one partition may hold; never above `projector.fetch_bytes`."""
    batch_bytes: int
    """Most that the events of one batch may hold together, as they are in the log. A single event
    may always go alone."""

    def __init__(self, settings: Settings, partitions: int) -> None:
        projector, event = settings.projector, settings.kafka.max_event_bytes
        workers = max(1, min(projector.max_concurrency, partitions))
        self.limit_bytes = projector.memory_limit_mb * MEBIBYTE
        fetches, batches = FETCHED_COST * max(1, partitions), BATCH_COST * BATCHES * workers
        needed = event * (fetches + batches)
        if needed > self.limit_bytes:
            raise SettingsInvalid(
                f"{projector.memory_limit_mb} MB are too little: {partitions} partitions and "
                f"{workers} workers need {-(-needed // MEBIBYTE)} MB for events of up to "
                f"{event} bytes",
                where="`projector.memory_limit_mb`",
                remedy="raise it to that, or lower `kafka.max_event_bytes` or "
                "`projector.max_concurrency`",
            )
        # Fetches take half at most, but always one event; the batches take the rest.
        half = self.limit_bytes // 2 // fetches
        self.fetch_bytes = min(projector.fetch_bytes, max(half, event))
        self.fetched_bytes = self.fetch_bytes * max(1, partitions)
        """All that may be fetched and not handled yet."""
        self.batch_bytes = (self.limit_bytes - FETCHED_COST * self.fetched_bytes) // batches
