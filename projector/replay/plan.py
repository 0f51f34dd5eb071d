"""What a replay, rollback or void would do: said before anything changes."""

import msgspec

from projector.replay.difference import TableDifference
from projector.replay.discarded import Discarded


class Plan(msgspec.Struct, frozen=True):
    """A target resolved to a position, and what going there changes."""

    projection: str
    target: str
    """What the position was said by."""
    before: str
    """Where the tables are."""
    position: str
    discarded: Discarded
    only_streams: list[str] = []
    """Those whose ends alone are set aside; empty: all."""
    tables: list[TableDifference] | None = None
    """What becomes of the rows; None where that was not asked."""

    @property
    def events(self) -> int:
        """How many events it sets aside."""
        return self.discarded.events
