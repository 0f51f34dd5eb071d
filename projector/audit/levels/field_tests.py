"""The semantic rules as tests of values, compiled once per struct: none looks at a type again."""

import datetime
from collections.abc import Callable, Iterable
from decimal import Context, Decimal
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

from projector.audit.levels.tally import Broken
from schemas.rules import Ascending, OneOf, Plausible, Precision, Range, Rule, SameTime, Unit

Test = Callable[[Any], bool]
"""Says of a value, which is not None, that it is as the rule wants it."""
SEMANTIC: tuple[type[Rule], ...] = (Range, OneOf, Precision, SameTime, Plausible, Ascending)
_EXACT = Context(prec=200)
_INFINITE = Decimal("Infinity")
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_FEBRUARY = datetime.datetime(1970, 2, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)
_UNIT_NS: dict[Unit, int] = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


class FieldTest(NamedTuple):
    """One rule over one field, or over several as a tuple."""

    get: Callable[[Any], Any]
    holds: Test
    broken: Broken
    expected: str
    names: tuple[str, ...]

    @property
    def several(self) -> bool:
        """Whether it is over several fields."""
        return len(self.names) > 1

    def say(self, value: Any) -> str:
        """Write what was observed."""
        return ", ".join(map(_text, value)) if self.several else _text(value)


class StructTests:
    """All rules over the fields of one struct."""

    def __init__(self, rules: Iterable[Rule], fields: Iterable[str]) -> None:
        present = set(fields)
        found = (_test(rule) for rule in rules if present.issuperset(_named(rule)))
        self._tests = [test for test in found if test is not None]
        single = [test for test in self._tests if not test.several]
        self._single = _values([test.names[0] for test in single])
        self._holds = [test.holds for test in single]
        self._several = [(test.get, test.holds) for test in self._tests if test.several]

    def __bool__(self) -> bool:
        return bool(self._tests)

    def sound(self, struct: Any) -> bool:
        """Say whether all rules hold; the quick way."""
        try:
            for value, holds in zip(self._single(struct), self._holds, strict=True):
                if value is not None and not holds(value):
                    return False
            for get, holds in self._several:
                if not holds(get(struct)):
                    return False
        except (TypeError, ValueError, ArithmeticError, AttributeError):
            return False
        return True

    def broken(self, struct: Any) -> list[tuple[FieldTest, Any]]:
        """Return the rules that do not hold, each with what was observed."""
        found = []
        for test in self._tests:
            value = test.get(struct)
            try:
                if value is None or test.holds(value):
                    continue
            except (TypeError, ValueError, ArithmeticError, AttributeError):
                pass  # of a type that cannot even be compared
            found.append((test, value))
        return found


def _values(names: list[str]) -> Callable[[Any], Any]:
    if not names:
        return lambda _: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda struct: (get(struct),)


def _named(rule: Rule) -> tuple[str, ...]:
    match rule:
        case Ascending(fields=fields):
            return fields
        case SameTime(field=field, twin=twin):
            return (field, twin)
        case _:
            return (getattr(rule, "field", ""),)


def _test(rule: Rule) -> FieldTest | None:
    match rule:
        case Range():
            made, what, expected = _range(rule), "a number is out of its range", str(rule)
        case OneOf(values=values):
            made, what = frozenset(values).__contains__, "a value is none of those there are"
            expected = "one of " + ", ".join(_text(value) for value in values)
        case Precision():
            made, what, expected = _precision(rule), "a number is finer than it can be", _fine(rule)
        case Plausible():
            made, what = _plausible(rule), "a time is far from any that such data have"
            expected = f"from {rule.since:%Y-%m-%d} to {rule.until:%Y-%m-%d}: is its unit right?"
        case SameTime():
            made, what = _same_time(rule), "two fields say different times"
            expected = f"{rule.field} is {rule.twin} in {rule.unit}"
        case Ascending(fields=fields):
            made, what = _ascending, "a time is before the one that it follows"
            expected = " <= ".join(fields)
        case _:
            return None
    named = _named(rule)
    broken = Broken(rule.name, what, rule.kind)
    return FieldTest(attrgetter(*named), made, broken, expected, named)


def _range(rule: Range) -> Test:
    """Return a test that infinities fail, and that no number can be compared in."""
    low, high = _end(rule.at_least, rule.above), _end(rule.at_most, rule.below)
    least = -_INFINITE if low is None else low
    most = _INFINITE if high is None else high
    if rule.at_least is not None and rule.at_most is not None:
        return lambda value: bool(least <= value <= most)
    if rule.at_least is not None:
        return lambda value: bool(least <= value < most)
    if rule.at_most is not None:
        return lambda value: bool(least < value <= most)
    return lambda value: bool(least < value < most)


def _end(with_it: Any, without_it: Any) -> Any:
    """Return the end; an integer as a Decimal: it is compared without a conversion."""
    end = without_it if with_it is None else with_it
    return Decimal(end) if isinstance(end, int) else end


def _precision(rule: Precision) -> Test:
    units = [] if rule.places is None else [Decimal(1).scaleb(-rule.places)]
    units += [] if rule.step is None else [rule.step]
    if not units:
        return lambda value: True
    remainder, first, *others = _EXACT.remainder, *units

    def holds(value: Any) -> bool:
        exact = value if type(value) is Decimal else Decimal(repr(value))
        if not others:
            return not remainder(exact, first)
        return not any(remainder(exact, unit) for unit in units)

    return holds


def _fine(rule: Precision) -> str:
    places = "" if rule.places is None else f"at most {rule.places} decimal places"
    steps = "" if rule.step is None else f"a multiple of {rule.step}"
    return ", ".join(filter(None, (places, steps)))


def _plausible(rule: Plausible) -> Test:
    since: Any = rule.since
    until: Any = rule.until
    epoch: Any = _EPOCH
    february: Any = _FEBRUARY
    if rule.unit is not None:
        size = _UNIT_NS[rule.unit]
        since, until, epoch, february = (
            _nanoseconds(time) // size for time in (since, until, epoch, february)
        )
    first = max(since, february)
    timed = rule.unit is None

    def holds(value: Any) -> bool:
        if first <= value < until:
            return True
        if not timed and value == 0:  # stands for no time
            return True
        return bool(since <= value < epoch)

    return holds


def _same_time(rule: SameTime) -> Test:
    size = _UNIT_NS[rule.unit]
    most = max(size, 1000)

    def holds(values: Any) -> bool:
        number, twin = values
        if number is None or twin is None:
            return number is twin
        since = twin - _EPOCH  # as _nanoseconds, which would cost as much again
        exact = (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
        return bool(-most < number * size - exact < most)

    return holds


def _ascending(values: Any) -> bool:
    there = [value for value in values if value is not None]
    return all(first <= then for first, then in pairwise(there))


def _nanoseconds(time: datetime.datetime) -> int:
    since = time - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def _text(value: Any) -> str:
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return repr(value) if isinstance(value, str) else str(value)
