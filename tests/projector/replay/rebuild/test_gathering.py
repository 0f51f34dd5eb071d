"""The quick way folds what has nothing odd about it, and stands still before anything else."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from projector.fold import ChangeRefused
from projector.lanes import LaneBook
from projector.replay.rebuild.gathering import Gathered, Gatherer
from schemas.domain import Domain
from schemas.lane import LaneHead, LaneId, genesis
from schemas.void import Span, Void, Voids
from tests.domains.ledger import ACCOUNT, DOMAIN, AccountOpened, AmountDeposited
from tests.projector.app import OPENED, record
from tests.projector.deliveries import SOURCE, sealed_lane

LANE = LaneId(SOURCE, 1, 0)
EVENTS: list[Any] = [
    AccountOpened("a", "Ada", OPENED),
    AccountOpened("b", "Bob", OPENED),
    AmountDeposited("a", Decimal(5), Decimal(5)),
    AmountDeposited("b", Decimal(7), Decimal(7)),
    AmountDeposited("a", Decimal(1), Decimal(6)),
]


def records(events: list[Any] = EVENTS) -> list[Any]:
    return [record("t", 0, offset, value) for offset, value in enumerate(sealed_lane(0, events))]


def gather(
    stored: list[Any],
    voids: Voids | None = None,
    odd: dict[int, set[int]] | None = None,
    waiting: set[str] | None = None,
    domain: Domain = DOMAIN,
) -> tuple[int, Gathered]:
    book = LaneBook(1, {LANE: genesis(LANE)}, {SOURCE}, (), voids)
    gathered = Gathered(domain, {0: 0})
    return Gatherer(domain, book, odd or {}, "t").take(
        gathered, 0, stored, waiting or set()
    ), gathered


def balances(gathered: Gathered) -> dict[str, int]:
    changes = gathered.fold.tables["accounts"].changes
    return {key[0]: int(row[2]) for key, (_, row) in changes.items()}


def test_a_lane_in_order_is_folded_whole() -> None:
    taken, gathered = gather(records())

    assert (taken, gathered.events, balances(gathered)) == (5, 5, {"a": 6, "b": 7})
    assert gathered.heads[LANE].seq == 5
    assert gathered.folded().offsets[0][:2] == (0, 5)


def test_duplicates_are_counted_and_passed() -> None:
    stored = records()

    taken, gathered = gather([*stored[:3], *stored[1:3], *stored[3:]])

    assert (taken, gathered.duplicates, gathered.events) == (7, 2, 5)


def test_void_events_move_their_lane_and_do_nothing_else() -> None:
    void = Void("v", SOURCE, 1, {0: Span(2, 9)}, ("account/a",))

    taken, gathered = gather(records(), Voids(1, [void]))

    assert (taken, gathered.events, balances(gathered)) == (5, 3, {"a": 0, "b": 7})
    assert gathered.heads[LANE].seq == 5


def test_what_is_behind_a_parked_event_is_put_aside() -> None:
    taken, gathered = gather(records(), waiting={"account/b"})

    assert (taken, gathered.events, balances(gathered)) == (5, 3, {"a": 6})
    assert [placed.offset for placed in gathered.behind] == [1, 3]


def test_a_mended_place_is_left_to_the_lanes() -> None:
    taken, gathered = gather(records(), odd={0: {3}})

    assert (taken, gathered.events, gathered.heads[LANE].seq) == (3, 3, 3)


def changed(old: bytes, new: bytes) -> Callable[[list[Any]], bytes]:
    return lambda stored: stored[3].value.replace(old, new)


@pytest.mark.parametrize(
    "odd",
    [
        pytest.param(lambda _: b"no event", id="no event"),
        pytest.param(lambda _: None, id="no value"),
        pytest.param(changed(b'"chain":"', b'"chain":"0'), id="another chain"),
        pytest.param(changed(b'"seq":"4"', b'"seq":"5"'), id="a hole"),
        pytest.param(changed(b'"seq":"4"', b'"seq":"x"'), id="no number"),
        pytest.param(changed(b"app-1", b"app-2"), id="another source"),
        pytest.param(changed(b"deposited.v1", b"deposited.v2"), id="another version"),
        pytest.param(changed(b'"epoch":0', b'"epoch":-1'), id="an epoch that falls"),
    ],
)
def test_it_stands_still_before_what_is_odd(odd: Callable[[list[Any]], bytes | None]) -> None:
    stored = records()
    stored[3] = record("t", 0, 3, odd(stored))

    taken, gathered = gather(stored)

    assert (taken, gathered.events, gathered.heads[LANE].seq) == (3, 3, 3)


def test_it_stands_still_before_an_event_that_its_handler_refuses() -> None:
    def project(event: Any) -> Any:
        if isinstance(event, AmountDeposited) and event.account == "b":
            raise RuntimeError
        return ACCOUNT.project(event)

    handled = type(ACCOUNT)(**{**vars(ACCOUNT), "project": project})

    taken, gathered = gather(records(), domain=Domain("ledger", (handled,), DOMAIN.ddl))

    assert (taken, gathered.events, gathered.heads[LANE]) == (
        3, 3, LaneHead(3, gathered.heads[LANE].digest, 0),
    )  # fmt: skip


def test_changes_that_contradict_each_other_are_raised() -> None:
    twice = AccountOpened("a", "Ada", OPENED)

    with pytest.raises(ChangeRefused):
        gather(records([twice, twice]))
