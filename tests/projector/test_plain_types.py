from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from projector.plain_types import plain_type
from schemas.trading import DOMAIN
from schemas.trading.trades import TradeCancelled

Name = Annotated[str, Meta(min_length=2, max_length=4, pattern="^[a-z]+$")]


class Named(Struct, frozen=True):
    name: Name
    other: Name | None = None
    number: Annotated[int, Meta(ge=0)] = 1
    names: list[str] = msgspec.field(default_factory=list)


@given(
    st.fixed_dictionaries(
        {"name": st.text("abC1", max_size=5)},
        optional={"other": st.none() | st.text("abC1", max_size=5), "number": st.integers(-2, 2)},
    )
)
def test_a_twin_decodes_what_its_type_decodes_and_texts_of_any_pattern(values: Any) -> None:
    plain = plain_type(Named)
    assert plain is not None
    data = msgspec.json.encode(values)

    try:
        event = plain.event_of(msgspec.json.decode(data, type=plain.twin))
    except msgspec.ValidationError:
        event = None

    texts = [text for text in (values["name"], values.get("other")) if text is not None]
    if all(2 <= len(text) <= 4 for text in texts) and values.get("number", 1) >= 0:
        assert event == Named(**values)
        assert type(event) is Named
    else:
        assert event is None


class WithoutPattern(Struct, frozen=True):
    name: str


class Renamed(Struct, frozen=True, rename="camel"):
    first_name: Name


class Checked(Struct, frozen=True):
    name: Name

    def __post_init__(self) -> None:
        raise ValueError("never")


class ByKeyword(Struct, frozen=True, kw_only=True):
    name: Name


class Tagged(Struct, frozen=True, tag=True):
    name: Name


class AsArray(Struct, frozen=True, array_like=True):
    name: Name


@pytest.mark.parametrize("event", [WithoutPattern, Renamed, Checked, ByKeyword, Tagged, AsArray])
def test_a_type_that_is_more_than_its_fields_has_no_twin(event: type[Any]) -> None:
    assert plain_type(event) is None


def test_a_twin_refuses_unknown_fields_where_its_type_does() -> None:
    class Strict(Struct, frozen=True, forbid_unknown_fields=True):
        name: Name

    plain = plain_type(Strict)
    assert plain is not None

    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"name":"abc","more":1}', type=plain.twin)


def test_the_shipped_domains_events_have_twins() -> None:
    assert plain_type(TradeCancelled) is not None
    assert all(plain_type(event) is not None for _, event in DOMAIN.by_type.values())
