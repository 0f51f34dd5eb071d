"""The syntax level: what is there can be read, as the schema says, and nobody is without a reader.

What the readers could not read comes with its error. What they read is held to its types once
more: values that a constructor takes without looking, and fields that nobody declared.
"""

import math
import re
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from projector.audit.levels.level import LevelName, LevelResult
from projector.audit.levels.tally import Broken, Tally
from projector.audit.records.record import Fault, Record
from schemas.domain import Domain, Kind

_FAULTS: dict[Fault, tuple[str, str, str, bool]] = {
    "unreadable": ("readable", "does not read as its schema says", "memferry parked list", False),
    "unknown_type": (
        "handled", "is of a type that no kind handles", "memferry parked list", True,
    ),
    "lost": ("whole", "is missing from the log", "memferry status", True),
    "broken_chain": ("chained", "does not continue what was before it", "memferry status", True),
    "foreign": ("known_source", "comes from a source that nobody opened", "memferry status", True),
    "forgotten": ("mapped", "is data that no kind has", "memferry extract", False),
    "orphan": ("owned", "belongs to no entity", "memferry audit", False),
}  # fmt: skip
"""Fault → rule, what is wrong, the next command, whether it vetoes."""
_FIELDS_CHECKED_MOST = 20_000
"""Of raw JSON: so many are looked at for fields that nobody declared; then a sample of them."""
_SAMPLED = 64
_SUSPECT = re.compile(rb'\\u0000|"[+-]?(?i:s?nan|inf)').search
"""Finds what JSON may hold and no column takes; most bytes have nothing of it."""


class SyntaxLevel:
    """Looks at each record once; used once."""

    name: LevelName = "syntax"

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._tally = Tally(self.name, domain)
        self._began = time.monotonic()
        self._looked = self._broken = 0
        self._unsound: dict[type, Callable[[Any], str]] = {}
        self._raw = 0
        self._known: dict[type, frozenset[str]] = {}

    def add(self, record: Record) -> None:
        """Look at one record."""
        self._looked += 1
        if record.error:
            self._broken += 1
            self._note_fault(record)
            return
        value = record.event if record.event is not None else record.entity
        if value is None or record.kind is None:
            return
        if record.raw is not None and record.step:
            said = self._look_at_raw(record, record.raw, value)
        else:
            test = self._unsound.get(type(value)) or self._test_of(record.kind, type(value))
            said = test(value)
        if said:
            self._broken += 1
            rule = Broken(f"{record.kind.name}.types", "is not of its types", record.kind.name)
            self._tally.note(rule, record, said, "values of the declared types, and no others")

    def finish(self) -> LevelResult:
        """Say what was found."""
        rules = [f"{rule}" for rule, *_ in _FAULTS.values()]
        rules += [f"{kind.name}.types" for kind in self._domain.kinds]
        return LevelResult(
            self.name, self._looked, self._broken, rules, self._tally.breaches(),
            seconds=time.monotonic() - self._began,
        )  # fmt: skip

    def _note_fault(self, record: Record) -> None:
        rule, what, step, veto = _FAULTS[record.fault or "unreadable"]
        kind = "" if record.kind is None else record.kind.name
        name = f"{kind}.{rule}" if kind else rule
        row = f"{record.key} ({record.place})" if record.key else record.place
        if record.place.startswith("line "):
            step = self._tally.look_at(record)
        self._tally.add(Broken(name, what, kind, veto), row, record.error, "", step)

    # --- types

    def _test_of(self, kind: Kind, found: type) -> Callable[[Any], str]:
        """Return what says of a value which of its fields is not sound; empty for none."""
        encode = msgspec.json.encode
        strict = kind.description is None and issubclass(found, msgspec.Struct)
        decode: Callable[[bytes], Any] | None = (
            msgspec.json.Decoder(found).decode if strict else None
        )

        def unsound(value: Any) -> str:
            said = _odd(value)
            if said or decode is None:
                return said
            try:
                decode(encode(value))
            except (msgspec.MsgspecError, ValueError, TypeError) as error:
                return str(error)
            return ""

        self._unsound[found] = unsound
        return unsound

    def _look_at_raw(self, record: Record, raw: bytes, value: Any) -> str:
        """Say what is not sound of an event that was read from bytes: its types are by that."""
        if _SUSPECT(raw) and (said := _odd(value)):
            return said
        self._raw += 1
        if self._raw > _FIELDS_CHECKED_MOST and self._raw % _SAMPLED:
            return ""
        return self._undeclared(raw, value)

    def _undeclared(self, raw: bytes, value: Any) -> str:
        """Return the fields of an event's JSON that its type does not have."""
        envelope = msgspec.json.decode(raw)
        data = envelope.get("data") if isinstance(envelope, dict) else None
        if not isinstance(data, dict) or envelope.get("type") not in self._domain.by_type:
            return ""  # of an earlier version: its upcaster says what becomes of each field
        known = self._known.get(type(value))
        if known is None:
            known = self._known[type(value)] = frozenset(type(value).__struct_encode_fields__)
        extra = sorted(data.keys() - known)
        return f"undeclared fields {', '.join(extra)}" if extra else ""


def _odd(value: Any) -> str:
    """Return what a constructor lets pass and no column takes: NUL, surrogates, no number."""
    for name in getattr(value, "__struct_fields__", ()):
        found = getattr(value, name)
        if type(found) is str:
            if "\0" in found:
                return f"{name} holds a NUL"
            if not found.isascii():
                try:
                    found.encode()
                except UnicodeEncodeError:
                    return f"{name} is no text in UTF-8"
        elif type(found) is Decimal:
            if not found.is_finite():
                return f"{name} is {found}"
        elif type(found) is float and not math.isfinite(found):
            return f"{name} is {found}"
    return ""
