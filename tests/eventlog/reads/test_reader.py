"""Reads by key, stream, fields and page: from memory and from the tables, at once and in time."""

import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from eventlog.entry import StoreMissing
from eventlog.reads.question import QuestionInvalid
from eventlog.reads.routing import ReadRouting
from eventlog.reads.unavailable import ReadUnavailable
from eventlog.receipts import Capability, ReceiptTimeout
from schemas.domain import DomainInvalid
from schemas.settings import Postgres, Settings
from tests.domains.ledger import Reading
from tests.eventlog.app import App, account, closed, deposited, opened, taken
from tests.eventlog.reads.followed import Followed

NAMES = ["a", "B", "ä", "a b", "Z", "b", "a/c", "~", "日", "𐀀", "\uffee"]
BY_CODE_POINT = sorted(NAMES)

both_ways = pytest.mark.parametrize("route", ["memory", "postgres"])


def filled(followed: Followed) -> Followed:
    ferry = followed.ferry
    ferry.record_all([opened(name, owner="ann" if name < "b" else "bob") for name in NAMES])
    ferry.record(opened("gone"))
    ferry.record(closed("gone"))
    ferry.record(deposited("a", "1.50", "1.50"))
    ferry.record_all([taken(meter, number) for meter in ("m", "n") for number in (1, 2, 3)])
    followed.catch_up()
    return followed


def names(entities: list[Any]) -> list[str]:
    return [entity.account for entity in entities]


@both_ways
def test_an_entity_is_read_by_its_key(followed: Followed, route: str) -> None:
    filled(followed).to(route)

    assert followed.accounts.get("a") == account("a", "1.50")
    assert followed.accounts.get("gone") is None
    assert followed.readings.get(("m", 2)) == Reading("m", 2, Decimal(1))
    assert followed.readings.get(("m", 9)) is None
    assert followed.readings.get(("x", 1)) is None


@both_ways
def test_the_newest_of_a_stream_come_oldest_first(followed: Followed, route: str) -> None:
    filled(followed).to(route)

    def numbers(**options: Any) -> list[int]:
        return [reading.number for reading in followed.readings.of_stream("m", **options)]

    assert numbers() == [1, 2, 3]
    assert numbers(limit=2) == [2, 3]
    assert numbers(limit=0) == []
    assert followed.readings.of_stream("x") == []
    assert followed.accounts.of_stream("a/c") == [followed.accounts.get("a/c")]


@both_ways
def test_entities_are_found_by_their_fields(followed: Followed, route: str) -> None:
    filled(followed).to(route)
    accounts = followed.accounts

    assert names(accounts.find(owner="ann")) == [n for n in BY_CODE_POINT if n < "b"]
    assert names(accounts.find(owner="ann", balance="1.5")) == ["a"]
    assert names(accounts.find({"owner": "bob"}, limit=2)) == ["b", "~"]
    assert names(accounts.find(account="a", owner="bob")) == []
    assert names(accounts.find(tags={})) == BY_CODE_POINT
    assert names(accounts.find(tags={"a": "b"})) == []
    assert names(accounts.find()) == BY_CODE_POINT
    with pytest.raises(QuestionInvalid, match="no field 'colour'"):
        accounts.find(colour="red")


@both_ways
def test_pages_go_through_all_in_the_order_of_code_points(followed: Followed, route: str) -> None:
    filled(followed).to(route)
    found: list[str] = []

    page = followed.accounts.page(limit=4)
    while page:
        found += names(page)
        page = followed.accounts.page(found[-1], limit=4)

    assert found == BY_CODE_POINT
    assert names(followed.accounts.page("aa", 1)) == ["b"]


@both_ways
def test_pages_go_through_keys_of_several_fields(followed: Followed, route: str) -> None:
    filled(followed).to(route)

    assert [r.number for r in followed.readings.page(("m", 2), 3)] == [3, 1, 2]
    assert followed.readings.page(("n", 3)) == []


@both_ways
def test_entities_are_counted(followed: Followed, route: str) -> None:
    filled(followed).to(route)

    assert followed.accounts.count() == len(NAMES)
    assert followed.readings.count() == 6


def test_the_tables_hold_what_left_a_ring(followed: Followed) -> None:
    followed.ferry.record_all([taken("m", number) for number in range(5)])
    followed.catch_up()
    in_memory = followed.readings.of_stream("m")
    followed.to("postgres")

    everything = followed.readings.of_stream("m")

    assert [reading.number for reading in everything] == [0, 1, 2, 3, 4]
    assert everything[-3:] == in_memory
    assert followed.readings.of_stream("m", limit=3) == in_memory


# --- when a read behind a write sees it


def test_a_read_waits_for_what_was_recorded_before_it(followed: Followed) -> None:
    followed.to("postgres")
    followed.ferry.record(opened("a"))
    found: list[Any] = []
    reading = threading.Thread(target=lambda: found.append(followed.accounts.get("a")))

    reading.start()
    with pytest.raises(ReceiptTimeout, match="not in the tables"):
        followed.accounts.get("a", timeout=0.05)
    followed.catch_up()
    reading.join()

    assert found == [account("a")]


@pytest.mark.parametrize(
    "ask",
    [
        lambda f: f.accounts.find(owner="ann", timeout=0.02),
        lambda f: f.accounts.page(timeout=0.02),
        lambda f: f.accounts.count(timeout=0.02),
        lambda f: f.accounts.of_stream("a", timeout=0.02),
        lambda f: f.accounts.find(account="a", timeout=0.02),
    ],
)
def test_every_read_waits(followed: Followed, ask: Callable[[Followed], object]) -> None:
    followed.to("postgres")
    followed.ferry.record(opened("a"))

    with pytest.raises(ReceiptTimeout):
        ask(followed)


def test_a_read_of_one_stream_waits_for_its_partition_alone(followed: Followed) -> None:
    followed.to("postgres")
    late = followed.ferry.record(opened("a"))
    others = [f"b{number}" for number in range(30)]
    receipts = [followed.ferry.record(opened(name)) for name in others]
    apart = next(r.stream for r in receipts if r.partition != late.partition)
    for receipt in receipts:
        receipt.durable(10)
        if receipt.partition != late.partition:
            followed.ferry.promises.applied(receipt.partition).advance(receipt.seq)

    assert followed.accounts.get(apart.removeprefix("account/"), timeout=5) is None
    with pytest.raises(ReceiptTimeout):
        followed.accounts.get("a", timeout=0.02)


def test_a_read_after_a_receipt_waits_for_that_one_alone(followed: Followed) -> None:
    followed.to("postgres")
    first = followed.ferry.record(opened("a"))
    followed.catch_up()
    second = followed.ferry.record(deposited("a", 1, 1))

    assert followed.accounts.get("a", after=first) == account("a")
    assert followed.accounts.pinned(after=first).get("a") == account("a")
    assert followed.accounts.pinned(after=first).count() == 1
    with pytest.raises(ReceiptTimeout, match=r"is not applied after 0\.0"):
        followed.accounts.get("a", after=second, timeout=0.02)


def test_a_read_that_does_not_wait_takes_what_is_committed(followed: Followed) -> None:
    followed.ferry.record(opened("a"))
    followed.catch_up()
    followed.ferry.record(deposited("a", 1, 1))
    followed.to("postgres")

    assert followed.accounts.get("a", wait=False) == account("a")
    assert followed.accounts.count(wait=False) == 1


def test_memory_waits_for_nothing(followed: Followed) -> None:
    receipt = followed.ferry.record(opened("a"))

    assert followed.accounts.get("a", after=receipt, timeout=0) == account("a")


# --- routes


def test_a_pinned_reader_stays_on_its_route(followed: Followed) -> None:
    followed.ferry.record(opened("a"))
    pinned = followed.accounts.pinned()
    tables = followed.accounts.pinned("postgres")
    followed.to("postgres")

    assert (pinned.route, followed.accounts.route) == ("memory", "postgres")
    assert pinned.get("a", timeout=0) == account("a")
    assert tables.get("a", wait=False) is None


def test_a_read_never_falls_back_to_memory(
    make_app: Callable[..., App], settings: Settings
) -> None:
    app = make_app()
    app.ferry.record(opened("a"))
    away = Postgres(dsn="host=127.0.0.1 port=1 user=x password=secret", connect_timeout_s=2)
    reads = ReadRouting(app.ferry, Settings(projection="p", postgres=away))
    reads.route.set("postgres", 1)

    with pytest.raises(ReadUnavailable, match=r"does not give the answer: .*refused") as caught:
        reads.reader("account").get("a", wait=False)

    assert "switch-back" in caught.value.remedy
    assert "secret" not in str(caught.value)
    reads.close(1)


def test_an_app_without_a_database_says_so(make_app: Callable[..., App]) -> None:
    reads = ReadRouting(make_app().ferry, Settings())
    reads.route.set("postgres", 1)

    with pytest.raises(ReadUnavailable, match="the app is not told where that is"):
        reads.reader("account").get("a")


def test_waiting_needs_the_control_connection(
    make_app: Callable[..., App], settings: Settings
) -> None:
    reads = ReadRouting(make_app().ferry, settings)
    reads.route.set("postgres", 1)

    with pytest.raises(Capability, match="no control connection"):
        reads.reader("account").get("a")
    reads.close(1)


def test_a_kind_that_is_not_there_is_refused_and_one_without_a_store_named(
    make_app: Callable[..., App],
) -> None:
    ferry = make_app().ferry
    reads = ReadRouting(ferry, Settings())
    with pytest.raises(DomainInvalid, match="no kind 'acount'"):
        reads.reader("acount")

    ferry._stores.clear()
    with pytest.raises(StoreMissing, match="no store is registered for kind 'account'"):
        reads.reader("account").get("a")


def test_tables_that_are_not_there_are_named(
    make_app: Callable[..., App], settings: Settings, database: psycopg.Connection[Any]
) -> None:
    reads = ReadRouting(make_app().ferry, settings)
    reads.route.set("postgres", 1)
    accounts = reads.reader("account")

    with pytest.raises(ReadUnavailable, match=r"relation .*accounts.* does not exist"):
        accounts.get("a", wait=False)
    with pytest.raises(ReadUnavailable, match="does not exist"):
        accounts.count(wait=False)
    reads.close(1)
