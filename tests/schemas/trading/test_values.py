"""The bounds of the trading domain's values."""

import msgspec
import pytest

from schemas.trading.values import Identifier


@pytest.mark.parametrize("name", ["", "a b", "a\n", "\na", "é", "x" * 65])
def test_a_name_that_is_no_plain_word_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, Identifier)


@pytest.mark.parametrize("name", ["a", "T-17", "!~", "x" * 64])
def test_a_plain_word_is_a_name(name: str) -> None:
    assert msgspec.convert(name, Identifier) == name
