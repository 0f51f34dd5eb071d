"""Which values may become an event, and what is said of those that may not."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from schemas.validity import EventInvalid, Validator

AT = datetime(2026, 1, 2, 3, 4, 5, 6, UTC)
NAIVE = AT.replace(tzinfo=None)
TOKYO = AT.astimezone(timezone(timedelta(hours=9)))


class Side(enum.Enum):
    BUY = "buy"


class Fee(Struct, frozen=True, tag=True):
    amount: Decimal
    at: datetime | None = None


class Gift(Struct, frozen=True, tag=True):
    words: str
    worth: Decimal | None = None


@dataclass(frozen=True)
class Note:
    amount: Decimal


class Pair(NamedTuple):
    name: str
    amount: Decimal


class Executed(Struct, frozen=True):
    """Everything that an event may hold."""

    trade: str = "T-1"
    price: Decimal = Decimal("42000.10")
    at: datetime = AT
    count: Annotated[int, msgspec.Meta(ge=0)] = 1
    side: Side = Side.BUY
    limit: Decimal | None = None
    until: datetime | None = None
    ratio: float = 0.5
    level: Decimal | int = 1
    fees: list[Fee] = []
    fee: Fee | Gift | None = None
    levels: tuple[Decimal, ...] = ()
    quote: tuple[Decimal, datetime] = (Decimal(1), AT)
    marks: frozenset[Decimal] = frozenset()
    tags: dict[str, str] = {}
    balances: dict[str, Decimal] = {}
    closings: Mapping[datetime, str] = {}
    note: Note | None = None
    pair: Pair | None = None
    payload: Any = None


class Deposited(Struct, frozen=True):
    """A flat event, as most are."""

    account: str
    amount: Decimal
    at: datetime | None = None
    count: int = 1


VALIDATOR = Validator(Executed)
FLAT = Validator(Deposited)
NOT_MONEY = [
    0.1,
    0.5,
    1,
    True,
    "1.5",
    None,
    Decimal("NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
]
NO_TIMES = [NAIVE, TOKYO, "2026-01-02T03:04:05Z", 0, AT.date()]


def require_refusal(validator: Validator, event: Struct, path: str) -> None:
    """Demand a refusal that names the field and says what to record instead."""
    with pytest.raises(EventInvalid) as caught:
        validator.encode(event)

    assert path in caught.value.what + caught.value.where
    assert caught.value.what
    assert caught.value.where
    assert caught.value.remedy


EVERYTHING = Executed(
    trade="日本 \"'\\",
    price=Decimal("-0.000000000000000001"),
    limit=Decimal("1E+9"),
    until=AT,
    level=Decimal("1.5"),
    fees=[Fee(Decimal("1")), Fee(Decimal("2"), AT)],
    fee=Gift("for you", Decimal("5")),
    levels=(Decimal(1), Decimal(2)),
    marks=frozenset({Decimal(1), Decimal(2)}),
    tags={"a": "b"},
    balances={"a": Decimal("0.1")},
    closings={AT: "x"},
    note=Note(Decimal(3)),
    pair=Pair("a", Decimal(4)),
    payload={"a": [1, "x", None, 0.5]},
)


@pytest.mark.parametrize("event", [Executed(), EVERYTHING])
def test_an_accepted_event_reads_back_as_it_was(event: Executed) -> None:
    data = VALIDATOR.encode(event)

    assert msgspec.json.decode(data, type=Executed) == event


@given(
    st.text(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.none() | st.datetimes(timezones=st.just(UTC)),
    st.integers(-(2**63), 2**63 - 1),
)
def test_money_and_times_keep_every_digit(
    account: str, amount: Decimal, at: datetime | None, count: int
) -> None:
    event = Deposited(account, amount, at, count)

    found = msgspec.json.decode(FLAT.encode(event), type=Deposited)

    assert found == event
    assert found.amount.as_tuple() == amount.as_tuple()


def test_money_is_written_as_text() -> None:
    data = FLAT.encode(Deposited("a", Decimal("0.10")))

    assert b'"amount":"0.10"' in data


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize("value", NOT_MONEY, ids=repr)
def test_what_is_not_money_is_refused_in_a_flat_event(value: Any, seen_before: bool) -> None:
    validator = Validator(Deposited)
    if seen_before:
        validator.encode(Deposited("a", Decimal(1), AT))

    require_refusal(validator, Deposited("a", value, AT), "Deposited.amount")


@pytest.mark.parametrize("seen_before", [False, True])
@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_what_is_no_time_in_utc_is_refused_in_a_flat_event(value: Any, seen_before: bool) -> None:
    validator = Validator(Deposited)
    if seen_before:
        validator.encode(Deposited("a", Decimal(1), AT))

    require_refusal(validator, Deposited("a", Decimal(1), value), "at")


@pytest.mark.parametrize("value", [v for v in NOT_MONEY if v is not None], ids=repr)
@pytest.mark.parametrize(
    ("field", "around"),
    [
        ("price", lambda v: v),
        ("limit", lambda v: v),
        ("fees", lambda v: [Fee(Decimal(1)), Fee(v)]),
        ("fee", Fee),
        ("fee", lambda v: Gift("a", v)),
        ("levels", lambda v: (Decimal(1), v)),
        ("quote", lambda v: (v, AT)),
        ("marks", lambda v: frozenset({Decimal("NaN") if str(v) == "sNaN" else v})),
        ("balances", lambda v: {"a": v}),
        ("note", Note),
        ("pair", lambda v: Pair("a", v)),
    ],
)
def test_what_is_not_money_is_refused_wherever_money_stands(
    field: str, around: Any, value: Any
) -> None:
    require_refusal(VALIDATOR, Executed(**{field: around(value)}), "Executed")


@pytest.mark.parametrize("value", [0.5, "1", Decimal("NaN"), Decimal("Infinity")], ids=repr)
def test_no_number_of_another_type_passes_where_money_or_a_count_stands(value: Any) -> None:
    require_refusal(VALIDATOR, Executed(level=value), "Executed")


@pytest.mark.parametrize("value", [NAIVE, TOKYO], ids=repr)
@pytest.mark.parametrize(
    ("field", "around"),
    [
        ("at", lambda v: v),
        ("until", lambda v: v),
        ("fees", lambda v: [Fee(Decimal(1), v)]),
        ("fee", lambda v: Fee(Decimal(1), v)),
        ("quote", lambda v: (Decimal(1), v)),
        ("closings", lambda v: {v: "x"}),
    ],
)
def test_a_time_without_utc_is_refused_wherever_a_time_stands(
    field: str, around: Any, value: Any
) -> None:
    require_refusal(VALIDATOR, Executed(**{field: around(value)}), "Executed")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("trade", 17),
        ("trade", b"T-1"),
        ("trade", None),
        ("trade", "\ud800"),
        ("count", 1.0),
        ("count", "1"),
        ("count", -1),
        ("side", "buy!"),
        ("ratio", float("nan")),
        ("ratio", float("inf")),
        ("fees", Fee(Decimal(1))),
        ("tags", {"a": 1}),
        ("tags", None),
        ("balances", [1]),
        ("levels", 5),
        ("quote", (Decimal(1),)),
        ("quote", (Decimal(1), AT, AT)),
        ("note", Fee(Decimal(1))),
        ("payload", float("nan")),
        ("payload", {"a": [float("inf")]}),
        ("payload", object()),
        ("payload", Decimal("0.5")),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: Any) -> None:
    require_refusal(VALIDATOR, Executed(**{field: value}), "Executed")


def test_the_field_is_named_however_deep_it_stands() -> None:
    event = Executed(fees=[Fee(Decimal(1)), Fee(Decimal(1), NAIVE)])

    with pytest.raises(EventInvalid, match=r"Executed\.fees\[1\]\.at is .* without a zone"):
        VALIDATOR.encode(event)


def test_the_refusal_of_a_float_shows_how_money_is_built() -> None:
    with pytest.raises(EventInvalid) as caught:
        FLAT.encode(Deposited("a", 0.1))  # type: ignore[arg-type]

    assert "not a Decimal" in caught.value.what
    assert 'Decimal("0.1")' in caught.value.remedy


def test_an_event_of_a_recursive_type_is_checked_to_the_bottom() -> None:
    validator = Validator(Tree)

    assert validator.encode(Tree(Decimal(1), [Tree(Decimal(2), [])]))

    require_refusal(validator, Tree(Decimal(1), [Tree(0.5, [])]), "Tree")  # type: ignore[arg-type]


class Tree(Struct, frozen=True):
    amount: Decimal
    parts: "list[Tree]"
