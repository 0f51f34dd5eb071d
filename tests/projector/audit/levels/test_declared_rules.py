"""A domain of others is validated by the rules that it declares, and is told what is wrong."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from projector.audit.levels.semantic import SemanticLevel
from projector.audit.records.record import Record
from schemas.domain import Domain, DomainInvalid
from schemas.rules import Check, Gapless, InOrder, Range, Reference, Rules
from tests.domains.ledger import (
    ACCOUNT,
    DOMAIN,
    READING,
    Account,
    AccountOpened,
    AmountDeposited,
    Reading,
    ReadingTaken,
)
from tests.projector.audit.levels.given import as_held, as_logged, breaches, results

OPENED = AccountOpened("A-1", "Ada", datetime(2026, 3, 2, tzinfo=UTC))
ACCOUNT_OF_ADA = Account("A-1", "Ada", D(5), datetime(2026, 3, 2, tzinfo=UTC))


def test_the_ledger_is_validated_without_a_rule_of_its_own() -> None:
    events = [OPENED, AmountDeposited("A-1", D(5), D(5)), ReadingTaken("M", 1, D(1))]
    assert breaches(DOMAIN, as_logged(DOMAIN, events)) == {}

    wrong = [OPENED, AmountDeposited("A-1", D(5), D(6)), ReadingTaken("M", 1, D("NaN"))]
    found = breaches(DOMAIN, as_logged(DOMAIN, wrong))

    assert found["account.steps"].next == "memferry parked list"
    assert found["reading.value.range"].observed == "NaN"


LEDGER = changed(
    DOMAIN,
    rules=Rules(
        (
            Range("account", "balance", at_least=0),
            Gapless("reading", "number"),
            InOrder("reading", "value"),
            Check(
                "is_owned", "account", "nobody owns it",
                lambda a: None if a.owner else ("no owner", "a name"),
            ),
        )
    ),
)  # fmt: skip


def test_the_ledger_brings_its_own_rules() -> None:
    debt = replace(ACCOUNT_OF_ADA, balance=D("-0.01"), owner="")

    assert set(breaches(LEDGER, as_held(LEDGER, [debt]))) == {
        "account.balance.range", "account.is_owned"
    }  # fmt: skip
    even = replace(ACCOUNT_OF_ADA, balance=D(0))
    assert breaches(LEDGER, as_held(LEDGER, [even])) == {}


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3], []),
        ([7, 5, 6], []),
        ([4], []),
        ([1, 3], ["2"]),
        ([9, 1, 5, 2, 8], ["3 to 4", "6 to 7"]),
        ([3, 1, 2, 2, 5, 4], []),
    ],
)
@pytest.mark.parametrize("logged", [False, True])
def test_numbers_of_a_stream_have_no_holes(
    numbers: list[int], missing: list[str], logged: bool
) -> None:
    records = (
        as_logged(LEDGER, [ReadingTaken("M", number, D(number)) for number in numbers])
        if logged
        else as_held(LEDGER, [Reading("M", number, D(number)) for number in numbers])
    )

    found = breaches(LEDGER, records, "cross_reference").get("reading.number.gapless")

    assert (found.rows if found else []) == [f"reading/M: {span}" for span in missing]
    assert found is None or found.veto


def test_within_a_stream_of_several_a_value_follows_its_number_or_the_log() -> None:
    taken = [Reading("M", 2, D(5)), Reading("M", 1, D(9)), Reading("N", 1, D(1))]
    rule = "reading.value.in_order"

    assert rule not in breaches(LEDGER, as_held(LEDGER, taken))  # read backwards: not comparable
    assert rule in breaches(LEDGER, as_held(LEDGER, [taken[1], taken[0], taken[2]]))
    events = [ReadingTaken(r.meter, r.number, r.value) for r in taken]
    assert rule not in breaches(LEDGER, as_logged(LEDGER, events))
    assert rule in breaches(LEDGER, as_logged(LEDGER, [*events, ReadingTaken("M", 3, D(8))]))


def test_an_entity_that_is_recorded_again_keeps_its_place_in_the_stream() -> None:
    events = [ReadingTaken("M", number, D(number)) for number in (1, 2)]
    snapshots = [READING.snapshot(Reading("M", 1, D(1)))]
    again = restating(LEDGER)

    found = breaches(again, as_logged(again, [*events, *snapshots]))

    assert "reading.value.in_order" not in found


def restating(domain: Domain) -> Domain:
    """Return the ledger with readings that may be stated again."""
    reading = changed(
        READING, evolve=lambda _, event: Reading(event.meter, event.number, event.value)
    )
    return changed(domain, kinds=(ACCOUNT, reading))


def test_a_rule_is_declared_once() -> None:
    with pytest.raises(ValueError, match=r"rule account\.balance\.range is declared twice"):
        Rules((Range("account", "balance"), Range("account", "balance", above=0)))


def test_a_rule_of_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(DomainInvalid, match=r"account.debt.range: account has no \['debt'\]"):
        changed(DOMAIN, rules=Rules((Range("account", "debt"),)))


def test_a_reference_to_a_kind_that_is_not_there_is_said() -> None:
    lone = changed(DOMAIN, rules=Rules((Reference("account", "owner", "person"),)))

    result = results(lone, [], "cross_reference")["cross_reference"]

    assert result.skipped == ["account.owner.refers_to_person: there is no kind person"]


def test_a_record_that_cannot_be_read_is_the_syntax_levels() -> None:
    level = SemanticLevel(DOMAIN)

    level.add(Record("line 7", READING, "", error="no number"))
    level.add(Record("line 8", None, "", error="no kind"))

    result = level.finish()
    assert (result.looked, result.broken, result.breaches) == (0, 0, [])


def test_of_a_files_line_the_line_is_to_be_corrected() -> None:
    record = Record("line 7", ACCOUNT, "A-1", replace(ACCOUNT_OF_ADA, balance=D("NaN")))

    found = breaches(DOMAIN, [record])["account.balance.range"]

    assert found.next == "correct line 7 of what was read, and validate it again"


def test_all_breaches_are_counted_and_the_first_are_named() -> None:
    debts = [replace(ACCOUNT_OF_ADA, account=f"A-{n}", balance=D(-n)) for n in range(1, 9)]

    result = results(LEDGER, as_held(LEDGER, debts))["semantic"]

    (breach,) = result.breaches
    assert (breach.count, breach.rows) == (8, ["A-1", "A-2", "A-3", "A-4", "A-5"])
    assert (breach.observed, breach.expected) == ("-1", ">= 0")
    assert (result.looked, result.broken) == (8, 8)
