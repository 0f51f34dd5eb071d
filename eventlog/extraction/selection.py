"""Which of a kind's entities are meant: by kind, key and time."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from eventlog.extraction.fields import Fields, is_time
from schemas.domain import Kind
from schemas.errors import FerryError
from schemas.extraction import Selection


class KindUnknown(FerryError):
    """A kind was asked for that nothing is held of."""


class KindTimeless(FerryError):
    """Entities were asked for by time, and their kind has no field with one."""


def require_selectable(selection: Selection, kinds: Sequence[Kind]) -> None:
    """Check that every kind asked for is held; raises KindUnknown."""
    held = [kind.name for kind in kinds]
    for name in selection.kinds:
        if name not in held:
            raise KindUnknown(
                f"nothing is held of a kind {name!r}",
                remedy=f"there is {', '.join(held) or 'nothing'}",
            )


class Selector:
    """Says of entities of one kind whether they are selected; raises KindTimeless."""

    def __init__(self, selection: Selection, fields: Fields) -> None:
        self._keys = selection.keys
        self._since, self._until = selection.since, selection.until
        self._place = -1
        if self._since or self._until:
            if not fields.time_field:
                raise KindTimeless(
                    f"kind {fields.kind.name!r} has no time to be selected by",
                    remedy="name the kinds that are meant with --kind",
                )
            self._place = fields.names.index(fields.time_field)
        self.takes_all = not self._keys and self._place < 0

    def takes(self, key: str, values: tuple[Any, ...]) -> bool:
        """Say whether an entity is selected; one without a time is not, where time is asked for."""
        if self._keys and not any(fnmatchcase(key, pattern) for pattern in self._keys):
            return False
        if self._place < 0:
            return True
        at = values[self._place]
        return (
            is_time(at)
            and (self._since is None or at >= self._since)
            and (self._until is None or at < self._until)
        )
