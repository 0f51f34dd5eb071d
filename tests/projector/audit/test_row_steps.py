from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from projector.audit.judgement import LogEvent
from projector.audit.row_steps import RowSteps, stream_finder
from schemas.envelope import Envelope
from tests.domains.ledger import (
    ACCOUNT,
    ACCOUNTS,
    DOMAIN,
    READING,
    READINGS,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    ReadingTaken,
)

OPENED = AccountOpened("a", "Ada", datetime(2024, 1, 1, tzinfo=UTC))
FIRST = AmountDeposited("a", Decimal(5), Decimal(5))


def envelope(event: msgspec.Struct, stream: str) -> Envelope:
    data = msgspec.Raw(msgspec.json.encode(event))
    kind = DOMAIN.type_of[type(event)]
    return Envelope("1.0", "id", "app-1", kind, stream, "t", "1", 1, "", data)


def steps(*events: msgspec.Struct, key: str = "a") -> RowSteps:
    found = RowSteps(ACCOUNT, ACCOUNTS, key)
    for offset, event in enumerate(events):
        place = LogEvent(0, offset, "id", "type", "t", offset + 1, "app-1")
        found.add(envelope(event, "account/a"), place)
    return found


def balances(found: RowSteps) -> list[str | None]:
    return [None if step.texts is None else step.texts[2] for step in found.steps]


def test_each_event_is_a_step_with_what_it_left() -> None:
    found = steps(OPENED, FIRST, AccountClosed("a"))

    assert balances(found) == ["0", "5", None]
    assert found.bucket is not None
    assert [step.refused for step in found.steps] == ["", "", ""]


def test_behind_an_event_that_does_not_follow_all_others_wait() -> None:
    wrong = AmountDeposited("a", Decimal(1), Decimal(50))
    later = AmountDeposited("a", Decimal(1), Decimal(6))

    found = steps(OPENED, FIRST, wrong, later)

    assert balances(found) == ["0", "5", "5", "5"]
    assert "does not follow" in found.steps[2].refused
    assert found.steps[3].refused == "it waits behind offset 2"


def test_other_rows_of_the_stream_are_no_steps() -> None:
    found = RowSteps(READING, READINGS, "m-0/2")
    for number in (1, 2, 3):
        place = LogEvent(0, number, "id", "type", "t", number, "app-1")
        found.add(envelope(ReadingTaken("m-0", number, Decimal(number)), "reading/m-0"), place)

    assert [step.event.offset for step in found.steps] == [2]


def test_events_of_other_kinds_are_no_steps() -> None:
    assert steps(ReadingTaken("m-0", 1, Decimal(1))).steps == []


def test_the_stream_of_a_row_is_that_of_any_event_that_touches_it() -> None:
    stream_of = stream_finder(ACCOUNT, ACCOUNTS, "a")

    for event in (OPENED, FIRST, AccountClosed("a")):
        assert stream_of(envelope(event, "account/a")) == "account/a"
    assert stream_of(envelope(AccountClosed("b"), "account/b")) == ""
    assert stream_of(envelope(ReadingTaken("a", 1, Decimal(1)), "reading/a")) == ""
