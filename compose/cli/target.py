"""The options that name a place in the log, alike in every command that goes or waits there."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from projector.replay.target import Target
from schemas.errors import SettingsInvalid

_OPTIONS = "--to-offset, --to-time, --to-event, --before-event, --to-savepoint or --to-end"


@Parameter(name="*")
@dataclass(frozen=True)
class TargetOptions:
    """Where to: one of these."""

    to_offset: str | None = None
    "Exclusive Kafka offsets for every partition: 0:120,1:98 (one number for one partition)."
    to_time: str | None = None
    "Before the first event recorded then or later: RFC 3339 with a zone, or --to-time=-15m."
    to_event: str | None = None
    "Just behind the event of this id, with all of its unit."
    before_event: str | None = None
    "Just before the event of this id, with nothing of its unit."
    to_savepoint: str | None = None
    "The position that `memferry savepoint take`, or a run, named."
    to_end: Annotated[bool, Parameter(negative=())] = False
    "Everything that the log holds now."

    @property
    def given(self) -> bool:
        """Whether any of them was named."""
        return self != TargetOptions()

    def target(self) -> Target:
        """Return what was named; raises SettingsInvalid unless it is exactly one."""
        named = [value for value in vars(self).values() if value not in {None, False}]
        if len(named) != 1:
            said = f"{len(named)} were named" if named else "none was named"
            raise SettingsInvalid(
                f"exactly one target is wanted, {said}", remedy=f"give {_OPTIONS}"
            )
        return Target(
            offset=self.to_offset,
            time=self.to_time,
            event=self.to_event,
            before_event=self.before_event,
            savepoint=self.to_savepoint,
            end=self.to_end,
        )
