"""The quick check says of no event what the full check would not say."""

import datetime
import enum
import itertools
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from schemas.quick_check import Test, quick_check
from schemas.validity import EventInvalid, Validator

AT = datetime.datetime(2026, 1, 2, 3, 4, 5, 6, datetime.UTC)
TOKYO = datetime.timezone(datetime.timedelta(hours=9))


class Side(enum.Enum):
    BUY = "buy"
    SELL = "sell"


class Flags(enum.Flag):
    A = 1
    B = 2


class Filled(Struct, frozen=True):
    """One field of each type that can be checked quickly."""

    trade: Annotated[str, Meta(min_length=1, max_length=8, pattern="^[!-~]+$")] = "T-1"
    note: Annotated[str, Meta(max_length=70)] | None = None
    words: str = ""
    kind: Literal["limit", "market"] = "limit"
    step: Literal[1, 2] = 1
    side: Side = Side.BUY
    price: Decimal = Decimal(1)
    limit: Decimal | int | None = None
    count: Annotated[int, Meta(gt=0, le=100)] = 1
    total: int = 0
    ratio: Annotated[float, Meta(ge=0, lt=1)] = 0.5
    done: bool = False
    at: datetime.datetime = AT
    until: datetime.datetime | None = None
    day: datetime.date = AT.date()
    order: uuid.UUID = uuid.UUID(int=7)


VALUES: dict[str, st.SearchStrategy[Any]] = {
    "trade": st.text(st.characters(codec=None, exclude_categories=()), max_size=10)
    | st.sampled_from(["T-1", "T-2", "T 1", "T-1\n"]),
    "note": st.none() | st.text(max_size=80) | st.text("x", min_size=60, max_size=80),
    "words": st.text(st.characters(codec=None, exclude_categories=()), max_size=3),
    "kind": st.sampled_from(["limit", "market", "stop", "limi"]),
    "step": st.sampled_from([1, 2, 3, True]),
    "side": st.sampled_from([*Side, "buy"]),
    "price": st.decimals() | st.sampled_from([0.5, "1"]),
    "limit": st.none() | st.decimals() | st.integers() | st.floats(),
    "count": st.integers(-1, 102) | st.booleans(),
    "total": st.integers(-(2**70), 2**70),
    "ratio": st.floats() | st.integers(0, 1),
    "done": st.booleans() | st.just(1),
    "at": st.datetimes(timezones=st.sampled_from([datetime.UTC, TOKYO])) | st.datetimes(),
    "until": st.none() | st.datetimes(timezones=st.just(datetime.UTC)) | st.datetimes(),
    "day": st.dates() | st.just(AT),
    "order": st.uuids() | st.just("x"),
}


def verdict(validator: Validator, event: Struct) -> bytes | None:
    """Return the event's data, None where it is refused."""
    try:
        return validator.encode(event)
    except EventInvalid:
        return None


def types_of(event: Struct) -> tuple[type, ...]:
    return tuple(map(type, msgspec.structs.astuple(event)))


def check_of(event: Struct) -> Test:
    check = quick_check(type(event), types_of(event))
    assert check is not None
    return check


@given(st.lists(st.fixed_dictionaries({}, optional=VALUES), min_size=1, max_size=6))
def test_a_validator_with_experience_says_what_a_new_one_says(changes: list[Any]) -> None:
    experienced = Validator(Filled)
    experienced.encode(Filled())

    for change in changes:
        event = Filled(**change)
        assert verdict(experienced, event) == verdict(Validator(Filled), event)


@given(st.fixed_dictionaries({}, optional=VALUES))
def test_what_passes_the_quick_check_passes_the_full_one(change: Any) -> None:
    event = Filled(**change)
    check = quick_check(Filled, types_of(event))

    if check is not None and check(event) and "\\ud" not in ascii(event):  # the encoder's own
        assert verdict(Validator(Filled), event) is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trade", ""),
        ("trade", "T" * 9),
        ("trade", "T 1"),
        ("note", "n" * 71),
        ("kind", "stop"),
        ("step", 3),
        ("price", Decimal("NaN")),
        ("price", Decimal("sNaN")),
        ("price", Decimal("-Infinity")),
        ("limit", Decimal("Infinity")),
        ("count", 0),
        ("count", 101),
        ("total", 2**63),
        ("ratio", -0.5),
        ("ratio", 1.0),
        ("ratio", float("nan")),
        ("at", AT.replace(tzinfo=None)),
        ("at", AT.astimezone(TOKYO)),
        ("until", AT.replace(tzinfo=None)),
    ],
)
def test_a_value_of_the_right_type_that_is_unsound_is_found(field: str, value: Any) -> None:
    sound = Filled(note="n", limit=Decimal(1), until=AT)
    check = check_of(sound)

    unsound = msgspec.structs.replace(sound, **{field: value})

    assert check(sound)
    assert not check(unsound)


@pytest.mark.parametrize("value", ["T-1", Decimal(1), None, 1, 1.0, True])
def test_values_of_other_types_are_for_another_check(value: Any) -> None:
    check = check_of(Filled())
    others = [name for name in VALUES if type(getattr(Filled(), name)) is not type(value)]

    for name in others:
        assert not check(msgspec.structs.replace(Filled(), **{name: value})), name


def test_a_text_that_was_sound_for_one_field_is_judged_anew_for_another() -> None:
    class Named(Struct, frozen=True):
        short: Annotated[str, Meta(max_length=2)]
        long: Annotated[str, Meta(max_length=4)]

    check = check_of(Named("a", "abcd"))

    assert check(Named("ab", "abcd"))
    assert not check(Named("abcd", "abcd"))


def test_very_many_names_are_checked_and_their_memory_is_bounded() -> None:
    check = check_of(Filled())

    assert all(check(Filled(f"T-{number}")) for number in range(10_000))
    assert not any(check(Filled(f"T {number}")) for number in range(10_000))


class Nested(Struct, frozen=True):
    prices: list[Decimal]


class Hooked(Struct, frozen=True):
    price: Decimal

    def __post_init__(self) -> None:
        pass


class Flagged(Struct, frozen=True):
    flags: Flags


class Even(Struct, frozen=True):
    count: Annotated[int, Meta(multiple_of=2)]


Keyword = msgspec.defstruct("Keyword", [("class", str)], frozen=True)


@pytest.mark.parametrize(
    "event",
    [Nested([]), Hooked(Decimal(1)), Flagged(Flags.A), Even(2), Keyword("a")],
    ids=lambda event: type(event).__name__,
)
def test_where_types_say_too_little_there_is_no_quick_check(event: Struct) -> None:
    assert quick_check(type(event), types_of(event)) is None
    validator = Validator(type(event))

    assert [verdict(validator, event) is not None for _ in range(3)] == [True] * 3


def test_events_whose_types_alternate_are_all_checked() -> None:
    validator = Validator(Filled)
    limits = itertools.cycle([None, Decimal(1), 5])
    untils = itertools.cycle([None, AT])

    for _ in range(20):
        event = Filled(limit=next(limits), until=next(untils))
        assert verdict(validator, event) == msgspec.json.encode(event)
        assert verdict(validator, msgspec.structs.replace(event, price=Decimal("NaN"))) is None
