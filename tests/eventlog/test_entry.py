"""What may not reach the log is refused before memory changes, with what, where and what next."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventlog.entry import EventTooLarge, EventTypeUnknown, StoreMissing
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.recorder import Recorder
from schemas.domain import DomainInvalid, TransitionRefused
from schemas.errors import FerryError
from schemas.validity import EventInvalid
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import (
    AT,
    DEADLINE_S,
    IDENTITY,
    App,
    account,
    deposited,
    fold,
    opened,
    readings,
    rows_of,
    taken,
)

MakeApp = Callable[..., App]
LIMIT = 20_000


class TradeExecuted(msgspec.Struct, frozen=True):
    account: str = "a"


BAD: dict[str, tuple[Any, type[FerryError]]] = {
    "a time without a zone": (opened("x", opened_at=datetime(2026, 1, 2)), EventInvalid),  # noqa: DTZ001
    "a time of another zone": (
        opened("x", opened_at=AT.astimezone(timezone(timedelta(hours=2)))),
        EventInvalid,
    ),
    "NaN": (deposited("a", "NaN", 6), EventInvalid),
    "a signalling NaN": (deposited("a", "sNaN", 6), EventInvalid),
    "infinity": (deposited("a", "Infinity", "Infinity"), EventInvalid),
    "a float as money": (
        msgspec.structs.replace(deposited("a", 1, 6), amount=1.0),
        EventInvalid,
    ),
    "a number as a name": (opened("x", owner=17), EventInvalid),
    "no name at all": (opened("x", owner=None), EventInvalid),
    "a tag that is no text": (opened("x", tags={"a": Decimal(1)}), EventInvalid),
    "half a surrogate pair": (opened("x", owner="\ud83d"), EventInvalid),
    "more than the topic takes": (opened("x", owner="o" * LIMIT), EventTooLarge),
    "a stream's name longer than the topic takes": (opened("x" * LIMIT), EventTooLarge),
    "a type of another domain": (TradeExecuted(), EventTypeUnknown),
    "an entity instead of an event": (account("x"), EventTypeUnknown),
    "no event": ("opened", EventTypeUnknown),
    "a step that does not follow": (deposited("a", 1, 99), TransitionRefused),
    "a step of an entity that is not there": (deposited("x", 1, 1), TransitionRefused),
    "a beginning of an entity that is there": (opened("a"), TransitionRefused),
    "a reading that was taken": (taken("m", 1), TransitionRefused),
}


@pytest.fixture
def app(make_app: MakeApp) -> App:
    """An app with some state, all of it in the log."""
    made = make_app(max_event_bytes=LIMIT)
    made.ferry.record_all([opened("a"), deposited("a", 5, 5), taken("m", 1)])[2].durable(DEADLINE_S)
    return made


@pytest.fixture
def fresh_app(make_app: MakeApp) -> App:
    """An app with some state, none of it in the log."""
    return make_app(
        accounts={"a": account("a", 5)}, rings={"m": readings("m", 1)}, max_event_bytes=LIMIT
    )


def require_refusal(app: App, error: type[FerryError], attempt: Callable[[], object]) -> FerryError:
    """Demand a refusal in full words, and that neither memory nor the outbox changed."""
    memory, rows = app.memory(), rows_of(app.path)

    with pytest.raises(error) as caught:
        attempt()

    assert caught.value.what
    assert caught.value.where
    assert caught.value.remedy
    assert app.memory() == memory
    app.close()
    assert rows_of(app.path) == rows
    return caught.value


@pytest.mark.parametrize(("event", "error"), BAD.values(), ids=BAD)
def test_a_bad_event_is_refused_and_changes_nothing(
    event: Any, error: type[FerryError], app: App
) -> None:
    require_refusal(app, error, lambda: app.ferry.record(event))


@pytest.mark.parametrize(("event", "error"), BAD.values(), ids=BAD)
def test_a_bad_event_is_no_reason_to_record_the_state_before_it(
    event: Any, error: type[FerryError], fresh_app: App
) -> None:
    require_refusal(fresh_app, error, lambda: fresh_app.ferry.record(event))


@pytest.mark.parametrize(("event", "error"), BAD.values(), ids=BAD)
def test_a_unit_whose_third_event_is_bad_leaves_nothing(
    event: Any, error: type[FerryError], app: App
) -> None:
    unit = [opened("b"), deposited("b", 1, 1), event]

    require_refusal(app, error, lambda: app.ferry.record_all(unit))


@pytest.mark.parametrize(("event", "error"), BAD.values(), ids=BAD)
def test_a_unit_on_state_that_is_not_in_the_log_leaves_nothing(
    event: Any, error: type[FerryError], fresh_app: App
) -> None:
    unit = [opened("b"), taken("m", 2), event]

    require_refusal(fresh_app, error, lambda: fresh_app.ferry.record_all(unit))


def test_a_unit_may_not_contradict_itself(app: App) -> None:
    unit = [opened("b"), deposited("b", 1, 1), deposited("b", 1, 1)]

    require_refusal(app, TransitionRefused, lambda: app.ferry.record_all(unit))


def test_after_a_refusal_the_right_event_is_taken(fresh_app: App) -> None:
    for event, error in BAD.values():
        with pytest.raises(error):
            fresh_app.ferry.record(event)

    fresh_app.ferry.record(deposited("a", 1, 6))
    fresh_app.ferry.record(taken("m", 2)).durable(DEADLINE_S)

    assert fold(rows_of(fresh_app.path)) == fresh_app.memory()


@pytest.mark.parametrize(("event", "field"), [("NaN", "amount"), ("a number as a name", "owner")])
def test_an_invalid_value_is_refused_by_the_name_of_its_field(
    event: str, field: str, app: App
) -> None:
    with pytest.raises(EventInvalid, match=field):
        app.ferry.record(BAD[event][0])


def test_an_event_that_is_too_large_is_refused_with_both_sizes_and_its_stream(app: App) -> None:
    error = require_refusal(
        app, EventTooLarge, lambda: app.ferry.record(opened("x", owner="o" * LIMIT))
    )

    assert str(LIMIT)[:2] in error.what
    assert "account/x" in error.where
    assert "kafka.max_event_bytes" in error.remedy


def test_a_snapshot_that_is_too_large_refuses_the_first_mutation(make_app: MakeApp) -> None:
    large = msgspec.structs.replace(account("a"), owner="o" * LIMIT)
    app = make_app(accounts={"a": large}, max_event_bytes=LIMIT)

    require_refusal(app, EventTooLarge, lambda: app.ferry.record(deposited("a", 1, 1)))


def test_an_event_without_a_store_for_its_kind_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    app.close()
    bare = Recorder(SqliteOutbox(app.path, IDENTITY), DOMAIN, LIMIT, 10)

    for attempt in (
        lambda: bare.record(opened("a")),
        lambda: bare.record_all([opened("a")]),
    ):
        with pytest.raises(
            StoreMissing, match="no store is registered for kind 'account'"
        ) as caught:
            attempt()
        assert caught.value.where
        assert "ferry.register('account', container)" in caught.value.remedy
    bare.close()
    assert rows_of(app.path) == []


def test_a_store_for_a_kind_that_is_not_there_is_refused(app: App) -> None:
    with pytest.raises(DomainInvalid, match="has no kind 'trade'") as caught:
        app.ferry.register("trade", {})

    assert "account, reading" in caught.value.remedy


def test_times_of_utc_in_other_words_are_taken(app: App) -> None:
    zones = [UTC, timezone.utc, timezone(timedelta(0), "GMT")]  # noqa: UP017

    for number, zone in enumerate(zones):
        app.ferry.record(opened(f"z{number}", opened_at=AT.astimezone(zone)))

    assert [app.accounts[f"z{n}"].opened_at for n in range(3)] == [AT] * 3
