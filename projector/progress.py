"""What a projector has done since it started, and how far behind it is."""

import msgspec

from projector.memory import Budget
from projector.stages import Stages
from schemas.errors import FerryError


class PartitionProgress(msgspec.Struct):
    """One partition that this process applies; `next_offset` is exclusive."""

    next_offset: int
    lag: int | None = None
    """Records behind the log's end; None until Kafka has said where that is."""
    applied_at_ns: int | None = None
    """When its last event was committed, in nanoseconds of the Unix epoch."""
    event_at_ns: int | None = None
    """When the newest event that was committed had been recorded, likewise."""


class Progress(msgspec.Struct):
    """What a run has done, all its workers together; updated after every commit."""

    applied: int = 0
    duplicates: int = 0
    parked: int = 0
    """Events put aside; not counted as applied."""
    batches: int = 0
    stages: Stages = msgspec.field(default_factory=Stages)
    partitions: dict[int, PartitionProgress] = {}
    """Of the partitions that this process has now."""
    stopped: dict[int, FerryError] = {}
    budget: Budget | None = None
    """What it may hold in memory; None until the number of partitions is known."""

    @property
    def lag(self) -> int | None:
        """Records behind the log's end, of all these partitions; None until Kafka has said it."""
        lags = [at.lag for at in self.partitions.values()]
        known = [lag for lag in lags if lag is not None]
        return sum(known) if known and len(known) == len(lags) else None
