"""The syntax level: each check has data that breaks it, and data near the edge that does not."""

import datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from projector.audit.levels.level import Breach
from projector.audit.levels.syntax import SyntaxLevel
from projector.audit.records.record import Fault, Record
from tests.domains.ledger import ACCOUNT, DOMAIN, READING, Account, AmountDeposited, Reading

OPENED = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)


def found(*records: Record) -> list[Breach]:
    level = SyntaxLevel(DOMAIN)
    for record in records:
        level.add(record)
    result = level.finish()
    assert result.looked == len(records)
    return result.breaches


def account(**changes: Any) -> Record:
    entity = msgspec.structs.replace(Account("a", "Ada", Decimal(1), OPENED), **changes)
    return Record("table accounts", ACCOUNT, "a", entity)


def step(data: dict[str, Any], event_type: str = "ledger.account.deposited.v1") -> Record:
    event = msgspec.convert(
        {"account": "a", "amount": "1", "balance": "2"} | data, AmountDeposited, strict=False
    )
    raw = msgspec.json.encode({"type": event_type, "data": data})
    return Record("partition 0, offset 3", ACCOUNT, "a", event=event, raw=raw)


def test_sound_records_break_nothing() -> None:
    whole = {"account": "a", "amount": "1", "balance": "2"}

    assert (
        found(account(), step(whole), Record("", READING, "m/1", Reading("m", 1, Decimal(0)))) == []
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"owner": "A\0da"}, "owner holds a NUL"),
        ({"owner": "A\ud800da"}, "owner is no text in UTF-8"),
        ({"owner": 5}, "Expected `str`, got `int` - at `$.owner`"),
        ({"owner": None}, "Expected `str`, got `null` - at `$.owner`"),
        ({"balance": Decimal("NaN")}, "balance is NaN"),
        ({"balance": Decimal("-Infinity")}, "balance is -Infinity"),
        (
            {"opened_at": OPENED.replace(tzinfo=None)},
            "Expected `datetime` with a timezone component",
        ),
        ({"tags": {"a": 1}}, "Expected `str`, got `int` - at `$.tags[...]`"),
    ],
)
def test_a_value_that_is_not_of_its_type_is_named(changes: dict[str, Any], said: str) -> None:
    (breach,) = found(account(**changes), account())

    assert (breach.rule, breach.count, breach.rows) == ("account.types", 1, ["a"])
    assert said in breach.observed
    assert not breach.veto


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": ""},
        {"owner": "Ünïcödé 🚢"},
        {"balance": Decimal("-0.00")},
        {"balance": Decimal("1E+30")},
        {"tags": {}},
    ],
)
def test_a_value_at_the_edge_of_its_type_is_sound(changes: dict[str, Any]) -> None:
    assert found(account(**changes)) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"account": "a", "amount": "1", "balance": "2", "fee": "1"}, "undeclared fields fee"),
        ({"account": "a", "amount": "NaN", "balance": "2"}, "amount is NaN"),
        ({"account": "a\0", "amount": "1", "balance": "2"}, "account holds a NUL"),
    ],
)
def test_an_event_is_looked_at_as_its_bytes_are(data: dict[str, Any], said: str) -> None:
    (breach,) = found(step(data))

    assert breach.observed == said
    assert breach.rows == ["a (partition 0, offset 3)"]


def test_a_text_that_only_looks_like_no_number_is_sound() -> None:
    assert found(step({"account": "nancy", "amount": "1", "balance": "2"})) == []


def test_fields_of_an_earlier_version_are_its_upcasters_matter() -> None:
    old = step({"account": "a", "amount": "1", "balance": "2", "old": 1}, "ledger.account.gone.v1")

    assert found(old) == []


@pytest.mark.parametrize(
    ("fault", "rule", "veto"),
    [
        ("unreadable", "account.readable", False),
        ("unknown_type", "account.handled", True),
        ("lost", "account.whole", True),
        ("broken_chain", "account.chained", True),
        ("foreign", "account.known_source", True),
        ("forgotten", "account.mapped", False),
        ("orphan", "account.owned", False),
    ],
)
def test_what_could_not_be_read_is_said_with_its_place_and_what_is_lost_vetoes(
    fault: Fault, rule: str, veto: bool
) -> None:
    bad = Record("partition 0, offset 7", ACCOUNT, "a", error="something", fault=fault)

    (breach,) = found(bad, bad)

    assert (breach.rule, breach.veto, breach.count) == (rule, veto, 2)
    assert breach.rows[0] == "a (partition 0, offset 7)"
    assert breach.observed == "something"
    assert breach.next.startswith("memferry ")


def test_a_line_of_a_file_is_to_be_corrected_there() -> None:
    (breach,) = found(Record("line 7", None, "", error="no JSON", fault="unreadable"))

    assert (breach.rule, breach.rows) == ("readable", ["line 7"])
    assert "line 7" in breach.next
