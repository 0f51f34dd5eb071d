"""Statistics and warnings of everything held, streamed from copies in bounded memory."""

import datetime
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from eventlog.extraction.fields import Fields
from eventlog.extraction.quality import FarOff, Judge, Owners, Stale, Tally
from eventlog.extraction.scratch import Scratch
from eventlog.extraction.selection import Selector, require_selectable
from eventlog.extraction.statistics import FAR_MADS, Counter, as_number, text_of
from schemas.domain import Kind
from schemas.errors import FerryError
from schemas.extraction import KindStatistics, Selection
from schemas.validity import Validator

ENTITIES_A_BREATH = 256
_NO_EVENT = (FerryError, AttributeError, TypeError, ValueError)


class Held(NamedTuple):
    """The entities of one kind as they were at one moment; each call of `copy` begins again."""

    kind: Kind
    copy: Callable[[], Iterator[Any]]


def survey(
    held: Sequence[Held],
    selection: Selection,
    now: datetime.datetime,
    told: Callable[[], None] = lambda: None,
) -> list[KindStatistics]:
    """Return what the selected entities hold and what looks wrong with them.

    Whether an entity is orphaned is judged by everything held, selected or not. `told` is called
    every few hundred entities; what it raises ends the survey.
    Raises: KindUnknown, KindTimeless.
    """
    require_selectable(selection, [one.kind for one in held])
    owners = _owners(held)
    with Scratch() as scratch:
        for one in held:
            if any(one.kind.name in kinds for kinds in owners.values()):
                fields = Fields(one.kind)
                keys = (fields.key(entity) for entity in breathing(one.copy(), told))
                scratch.add_keys(one.kind.name, keys)
        return [
            _Survey(one, selection, owners, scratch, told).run(now)
            for one in held
            if not selection.kinds or one.kind.name in selection.kinds
        ]


def breathing(entities: Iterator[Any], told: Callable[[], None] = lambda: None) -> Iterator[Any]:
    """Yield entities, and let the app's own threads in between them: they want the same lock."""
    for number, entity in enumerate(entities):
        if number % ENTITIES_A_BREATH == 0:
            time.sleep(0)
            told()
        yield entity


def _owners(held: Sequence[Held]) -> Owners:
    """Return whose key a field's name is: a field of that name elsewhere refers to it."""
    owners: Owners = {}
    for one in held:
        if len(one.kind.key) == 1:
            (name,) = one.kind.key
            owners[name] = (*owners.get(name, ()), one.kind.name)
    return owners


class _Survey:
    def __init__(
        self,
        held: Held,
        selection: Selection,
        owners: Owners,
        scratch: Scratch,
        told: Callable[[], None],
    ) -> None:
        self._told = told
        self._held = held
        self._kind = held.kind
        self._fields = Fields(held.kind)
        self._selection = selection
        self._selector = Selector(selection, self._fields)
        self._tally = Tally(held.kind.name)
        self._judge = Judge(self._fields, owners, scratch, self._tally)
        self._validators: dict[type, Validator] = {}
        self._sample: list[bytes] = []
        self._draw = random.Random(held.kind.name)  # noqa: S311  (the same at every run)

    def run(self, now: datetime.datetime) -> KindStatistics:
        counters = [Counter(name) for name in self._fields.names]
        entities = selected = 0
        for entity in breathing(self._held.copy(), self._told):
            entities += 1
            found = self._event(entity, told=True)
            if found is None:
                continue
            event, key, values, data = found
            for counter, value in zip(counters, values, strict=True):
                counter.add(value)
            self._judge.look(event, key, values)
            if data:
                self._keep(data, selected)
            selected += 1
        self._look_again(counters, now)
        return KindStatistics(
            self._kind.name,
            entities,
            selected,
            self._fields.time_field,
            [counter.result() for counter in counters],
            self._tally.warnings(),
            [msgspec.Raw(data) for data in self._sample],
        )

    def _event(self, entity: Any, *, told: bool) -> tuple[Any, str, tuple[Any, ...], bytes] | None:
        """Return a selected entity's event, key, values and encoding; none where it is refused."""
        key = self._fields.key(entity)
        refusal: Exception | None = None
        try:
            event = self._kind.snapshot(entity)
        except _NO_EVENT as error:
            event, refusal = entity, error  # judged by what it holds itself
        try:
            values = self._fields.values(event)
        except _NO_EVENT as error:
            if told:
                self._tally.note("refused", "", key, _reason(refusal or error))
            return None
        if not self._selector.takes(key, values):
            return None
        data = b""
        if told and refusal is not None:
            self._tally.note("refused", "", key, _reason(refusal))
        elif told:
            validator = self._validators.get(type(event))
            if validator is None:
                validator = self._validators[type(event)] = Validator(type(event))
            try:
                data = validator.encode(event)
            except FerryError as error:
                self._tally.note("refused", "", key, _reason(error))
        return event, key, values, data

    def _keep(self, data: bytes, before: int) -> None:
        wanted = self._selection.sample
        if len(self._sample) < wanted:
            self._sample.append(data)
        elif wanted and (place := int(self._draw.random() * (before + 1))) < wanted:
            self._sample[place] = data

    def _look_again(self, counters: Sequence[Counter], now: datetime.datetime) -> None:
        fences = [counter.fence() for counter in counters]
        far_off = FarOff(self._fields, fences, self._stale(counters, now), self._tally)
        if not far_off.needed:
            return
        for entity in breathing(self._held.copy(), self._told):
            found = self._event(entity, told=False)
            if found is not None:
                far_off.look(*found[:3])
        far_off.finish()

    def _stale(self, counters: Sequence[Counter], now: datetime.datetime) -> Stale | None:
        """Return what finds late times; note at once where even the newest is."""
        name = self._fields.time_field
        counter = next((one for one in counters if one.name == name), None)
        if counter is None or counter.high is None:
            return None
        span = datetime.timedelta(seconds=self._selection.stale_after_s)
        behind = now - counter.high
        if behind > span:
            newest = text_of(counter.high)
            self._tally.note("stale", name, newest, f"the newest is {_span(behind)} behind now")
        span_us = span / datetime.timedelta(microseconds=1)
        if len(self._kind.key) > len(self._kind.stream):
            before = as_number(counter.high) - span_us
            return Stale(self._fields, before, f"{_span(span)} behind the newest", self._tally)
        middle, fence = counter.middle(), counter.fence()
        if middle is None:
            return None
        before = min(middle - span_us, fence[0] if fence else middle)
        detail = f"far behind the others: {_span(span)}, and {FAR_MADS:.0f} times their spread"
        return Stale(self._fields, before, detail, self._tally)


def _reason(error: Exception) -> str:
    return error.what if isinstance(error, FerryError) else repr(error)


def _span(span: datetime.timedelta) -> str:
    seconds = span.total_seconds()
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
