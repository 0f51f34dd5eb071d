"""Tables made anew from the log, as fast as the cores allow: `rebuild`, then `finish`."""

from projector.replay.rebuild.errors import ReplayIncomplete, WorkerDied
from projector.replay.rebuild.indexes import drop_secondary, finish
from projector.replay.rebuild.run import rebuild

__all__ = ["ReplayIncomplete", "WorkerDied", "drop_secondary", "finish", "rebuild"]
