"""Whether a time falls within a stream: from one record to the next."""

import datetime
from operator import attrgetter
from typing import Any

from projector.audit.levels.tally import STREAMS_MOST, Broken
from projector.audit.records.record import Record
from schemas.domain import Kind
from schemas.rules import InOrder, Wrong


class Order:
    """Follows one rule through the records of one kind."""

    def __init__(self, kind: Kind, rule: InOrder) -> None:
        what = "a time is before that of the record before it"
        self.broken = Broken(rule.name, what, kind.name)
        self._name = rule.field
        self._get = attrgetter(rule.field)
        self._alone = kind.key == kind.stream
        self._stream = kind.stream_getter()
        self._last_of_key = attrgetter(kind.key[-1])
        self._newest: dict[str, tuple[Any, Any]] = {}
        self._stepped = False
        self._left_out = 0

    @property
    def skipped(self) -> list[str]:
        """What was not looked at."""
        return self.broken.left_out(self._left_out)

    def look(self, record: Record) -> Wrong | None:
        """Return what is wrong with one record's place, None where it follows the one before it."""
        if record.entity is None:
            return None
        if record.event is not None:
            self._stepped = True
            if self._alone:
                return self._after(record.before, record.entity)
            return self._in_stream(record.entity) if record.before is None else None
        if self._stepped or self._alone:  # the events said it already; or nothing can be before it
            return None
        return self._by_key(record.entity)

    def _after(self, before: Any, entity: Any) -> Wrong | None:
        return None if before is None else self._compare(self._get(before), self._get(entity))

    def _in_stream(self, entity: Any) -> Wrong | None:
        return self._follow(entity, None)

    def _by_key(self, entity: Any) -> Wrong | None:
        place = self._last_of_key(entity)
        if not isinstance(place, int | float | datetime.datetime):
            return None
        return self._follow(entity, place)

    def _follow(self, entity: Any, place: Any) -> Wrong | None:
        value = self._get(entity)
        stream = self._stream(entity)
        newest = self._newest.get(stream)
        if newest is None:
            if len(self._newest) >= STREAMS_MOST:
                self._left_out += 1
            else:
                self._newest[stream] = (place, value)
            return None
        if place is not None and place < newest[0]:
            return None  # read in another order
        wrong = self._compare(newest[1], value)
        if wrong is None:
            self._newest[stream] = (place, value)
        return wrong

    def _compare(self, before: Any, now: Any) -> Wrong | None:
        if before is None or now is None or now >= before:
            return None
        return str(now), f"{self._name} not below {before}"
