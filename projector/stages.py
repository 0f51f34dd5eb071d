"""Where a projector's time goes."""

import msgspec


class Stages(msgspec.Struct):
    """Seconds spent in each step since the start, by the clock: threads that wait count too."""

    fetch: float = 0.0
    """Waiting for Kafka's answer, and taking it apart."""
    decode: float = 0.0
    """Admitting records to their lanes, decoding them, and the domain's handlers."""
    fold: float = 0.0
    """Many changes into one a row, sorted by key."""
    copy: float = 0.0
    """Rows written as text and sent."""
    upsert: float = 0.0
    """Statements that bring sent rows into the tables."""
    commit: float = 0.0
    """Checkpoint, lanes, and the commit itself."""

    @property
    def applying(self) -> float:
        """Seconds of the steps between a batch's begin and its commit."""
        return self.fold + self.copy + self.upsert
