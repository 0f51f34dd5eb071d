"""What looks wrong in one kind's entities, noted while they pass by."""

from collections.abc import Sequence
from typing import Any

from eventlog.extraction.fields import Fields, is_missing
from eventlog.extraction.scratch import Scratch
from eventlog.extraction.statistics import Fence, as_number, text_of
from schemas.extraction import QualityWarning, WarningKind

EXAMPLES = 3
Owners = dict[str, tuple[str, ...]]
"""Name of a field → the kinds whose key it is, and it alone."""


class Tally:
    """Counts warnings of one kind by what and field, and keeps a few keys of each."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._found: dict[tuple[WarningKind, str], tuple[str, list[str]]] = {}
        self._counts: dict[tuple[WarningKind, str], int] = {}

    def note(self, what: WarningKind, field: str, example: str, detail: str) -> None:
        """Count one more; the first one's `detail` says what it is about."""
        place = (what, field)
        self._counts[place] = self._counts.get(place, 0) + 1
        _, examples = self._found.setdefault(place, (detail, []))
        if len(examples) < EXAMPLES:
            examples.append(example)

    def warnings(self) -> list[QualityWarning]:
        """Return what was noted, in the order in which each was first."""
        return [
            QualityWarning(what, self._kind, field, self._counts[what, field], detail, examples)
            for (what, field), (detail, examples) in self._found.items()
        ]


class Judge:
    """Looks at each entity of one kind once, in the container's order."""

    def __init__(self, fields: Fields, owners: Owners, scratch: Scratch, tally: Tally) -> None:
        kind = fields.kind
        self._fields = fields
        self._scratch = scratch
        self._tally = tally
        self._content = [n for n, field in enumerate(fields.fields) if not field.is_key]
        self._required = [(n, f.name) for n, f in enumerate(fields.fields) if f.required]
        self._bounded = [(n, f.name, f.bounds) for n, f in enumerate(fields.fields) if f.bounds]
        self._references = [
            (n, field.name, owners[field.name])
            for n, field in enumerate(fields.fields)
            if kind.name not in owners.get(field.name, (kind.name,))
        ]
        self._stream = kind.stream_getter()
        several = len(kind.key) > len(kind.stream)
        self._time = fields.names.index(fields.time_field) if fields.time_field else -1
        self._in_order = several and self._time >= 0
        self._before: tuple[str, Any] = ("", None)

    def look(self, event: Any, key: str, values: tuple[Any, ...]) -> None:
        """Note what is wrong with one entity by itself, and beside the others."""
        note = self._tally.note
        for place, name in self._required:
            if is_missing(values[place]):
                note("missing", name, key, "the type demands a value")
        for place, name, bounds in self._bounded:
            value = values[place]
            if isinstance(value, int | float) and bounds and not bounds.hold(value):
                note("out_of_range", name, f"{key}: {text_of(value)}", f"declared {bounds}")
        for place, name, kinds in self._references:
            value = values[place]
            if not is_missing(value) and not any(self._scratch.has(k, str(value)) for k in kinds):
                note("orphaned", name, f"{key}: {value}", f"no {' or '.join(kinds)} has that key")
        self._look_for_another(key, values)
        if self._in_order:
            self._look_before(event, key, values[self._time])

    def _look_for_another(self, key: str, values: tuple[Any, ...]) -> None:
        if not self._content:
            return
        content = [values[place] for place in self._content]
        earlier = self._scratch.seen(self._fields.kind.name, content, key)
        if earlier is not None and earlier != key:
            self._tally.note("duplicate", "", f"{earlier} = {key}", "the same content twice")

    def _look_before(self, event: Any, key: str, at: Any) -> None:
        stream, last = self._before
        now = self._stream(event)
        if at is None:
            return
        if stream == now and at < last:
            self._tally.note(
                "unordered", self._fields.time_field, key, "earlier than the one before it"
            )
        self._before = (now, at)


class FarOff:
    """Looks at each entity again, now that it is known what the others hold."""

    def __init__(
        self, fields: Fields, fences: Sequence[Fence | None], stale: "Stale | None", tally: Tally
    ) -> None:
        self._tally = tally
        self._stale = stale
        self._fenced = [
            (place, field.name, fence)
            for place, (field, fence) in enumerate(zip(fields.fields, fences, strict=True))
            if fence and not field.is_key and not field.is_time and not field.name.endswith("_ns")
        ]

    @property
    def needed(self) -> bool:
        """Whether there is anything to look for."""
        return bool(self._fenced or self._stale)

    def look(self, event: Any, key: str, values: tuple[Any, ...]) -> None:
        """Note what is far from the others."""
        for place, name, (low, high) in self._fenced:
            number = as_number(values[place])
            if number is not None and not low <= number <= high:
                self._tally.note(
                    "out_of_range", name, f"{key}: {text_of(values[place])}",
                    f"nearly all are between {low:.6g} and {high:.6g}",
                )  # fmt: skip
        if self._stale is not None:
            self._stale.look(event, key, values)

    def finish(self) -> None:
        """Note what only the end shows."""
        if self._stale is not None:
            self._stale.finish()


class Stale:
    """Times that lag behind: of entities behind the others, of a feed behind the other feeds."""

    def __init__(self, fields: Fields, before: float, detail: str, tally: Tally) -> None:
        kind = fields.kind
        self._name = fields.time_field
        self._place = fields.names.index(fields.time_field)
        self._before = before
        self._detail = detail
        self._tally = tally
        self._stream = kind.stream_getter()
        self._by_stream = len(kind.key) > len(kind.stream)
        self._open: tuple[str, float] | None = None

    def look(self, event: Any, key: str, values: tuple[Any, ...]) -> None:
        """Take one entity; those of a stream come together."""
        at = as_number(values[self._place])
        if at is None:
            return
        if not self._by_stream:
            if at < self._before:
                self._tally.note("stale", self._name, key, self._detail)
            return
        stream = self._stream(event)
        if self._open is None or self._open[0] != stream:
            self.finish()
            self._open = (stream, at)
        else:
            self._open = (stream, max(at, self._open[1]))

    def finish(self) -> None:
        """Judge the stream that came last by its newest entity."""
        if self._open is not None and self._open[1] < self._before:
            self._tally.note("stale", self._name, self._open[0], self._detail)
        self._open = None
