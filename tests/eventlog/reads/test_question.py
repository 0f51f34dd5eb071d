"""What a read may ask for."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from eventlog.reads.question import Question, QuestionInvalid, Questions
from schemas.tables import key_text
from schemas.trading import market_data, portfolio, trades
from tests.domains.ledger import ACCOUNT, READING
from tests.eventlog.app import AT

accounts = Questions(ACCOUNT)
readings = Questions(READING)


def test_a_key_is_a_value_or_a_tuple_of_them() -> None:
    assert accounts.one("a") == Question({"account": "a"})
    assert readings.one(("m", 3)) == Question({"meter": "m", "number": 3})
    assert readings.of_stream("m", 2) == Question({"meter": "m"}, limit=2, newest=True)
    assert readings.page(("m", 3), 9) == Question({}, ("m", 3), 9)
    assert readings.page(None, 9) == Question({}, None, 9)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"balance": 5}, Decimal(5)),
        ({"balance": "0.10"}, Decimal("0.10")),
        ({"opened_at": "2026-01-02T03:04:05.000006Z"}, AT),
        ({"opened_at": AT.astimezone(timezone(timedelta(hours=2)))}, AT),
        ({"tags": {"a": "b"}}, {"a": "b"}),
    ],
)
def test_a_value_becomes_what_the_field_declares(given: dict[str, Any], found: Any) -> None:
    (value,) = accounts.find(given, None).equal.values()

    assert value == found
    assert type(value) is type(found)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"colour": "red"}, r"kind 'account': it has no field 'colour'"),
        ({"owner": 5}, r"owner cannot be 5: Expected `str`, got `int`"),
        ({"owner": None}, r"owner cannot be None"),
        ({"owner": "a\0b"}, r"owner cannot be .*: no column holds it"),
        ({"owner": "\ud800"}, r"owner cannot be .*: no column holds it"),
        ({"balance": Decimal("NaN")}, r"balance cannot be .*: no column holds it"),
        ({"balance": Decimal("Infinity")}, r"no column holds it"),
        ({"opened_at": datetime(2026, 1, 1)}, r"opened_at cannot be .*: no column holds it"),  # noqa: DTZ001
        ({"tags": 7}, r"tags cannot be 7"),
    ],
)
def test_what_no_row_can_have_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(QuestionInvalid, match=said) as caught:
        accounts.find(given, None)

    assert caught.value.remedy


def test_an_unknown_field_is_refused_with_those_there_are() -> None:
    with pytest.raises(QuestionInvalid) as caught:
        readings.find({"colour": "red"}, None)

    assert caught.value.remedy == "ask for one of: meter, number, value"


def test_a_field_that_is_no_column_of_the_entitys_row_is_refused() -> None:
    with pytest.raises(QuestionInvalid, match="no field 'positions'"):
        Questions(portfolio.KIND).find({"positions": ()}, None)


@pytest.mark.parametrize("key", ["m", ("m",), ("m", 1, 2), ["m", 1], ("m", "1"), None])
def test_a_key_of_another_form_is_refused(key: Any) -> None:
    with pytest.raises(QuestionInvalid):
        readings.one(key)


def test_a_limit_below_zero_is_refused() -> None:
    for ask in (readings.of_stream, readings.page):
        with pytest.raises(QuestionInvalid, match="the limit is -1"):
            ask(None if ask == readings.page else "m", -1)
    with pytest.raises(QuestionInvalid, match="the limit is -1"):
        readings.find({}, -1)


def test_a_word_that_the_field_does_not_know_is_refused() -> None:
    with pytest.raises(QuestionInvalid, match="status cannot be 'lost'"):
        Questions(trades.KIND).find({"status": "lost"}, None)


@pytest.mark.parametrize(
    ("questions", "key"),
    [
        (accounts, ("a",)),
        (accounts, ("a/b",)),
        (readings, ("m", 12)),
        (readings, ("m/n", 12)),
        (Questions(market_data.KIND), ("IBM.2", AT)),
        (Questions(market_data.KIND), ("IBM", datetime(2020, 1, 1, tzinfo=UTC))),
    ],
)
def test_a_key_is_read_from_the_text_that_is_written_of_it(
    questions: Questions, key: tuple[Any, ...]
) -> None:
    found = questions.key_of_text(key_text(key))

    assert found == (key if len(key) > 1 else key[0])


@pytest.mark.parametrize("text", ["m", "m/x", ""])
def test_a_text_that_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(QuestionInvalid):
        readings.key_of_text(text)
