"""Reads that memory answers, compared with the tables behind the caller's back."""

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from eventlog.reads.comparison import Mismatch
from eventlog.reads.routing import ReadRouting
from eventlog.reads.shadow import Shadow, ShadowCounts
from schemas.settings import Postgres, Reads, Settings
from tests.eventlog.app import App, account, closed, deposited, opened, taken
from tests.eventlog.reads.followed import Followed

STRANGER = "INSERT INTO accounts SELECT 'bb', owner, 0, opened_at, tags FROM accounts LIMIT 1"


@pytest.fixture
def shadowed(followed: Followed) -> Followed:
    """Three accounts and five readings in the tables; reads go to memory and are compared."""
    followed.ferry.record_all([opened(name) for name in "abc"])
    followed.ferry.record_all([taken("m", number) for number in range(5)])
    followed.catch_up()
    followed.to("shadow")
    return followed


def found(followed: Followed) -> tuple[int, list[Mismatch]]:
    followed.reads.shadow.join()
    counts = followed.reads.shadow.counts()
    assert (counts.dropped, counts.failed) == (0, 0), followed.reads.shadow.last_failure
    return counts.compared, followed.reads.shadow.mismatches()


def test_equal_answers_are_counted(shadowed: Followed) -> None:
    assert shadowed.accounts.get("a") == account("a")
    assert shadowed.accounts.get("x") is None
    assert len(shadowed.accounts.page()) == 3
    assert len(shadowed.accounts.find(owner="ann", limit=2)) == 2
    assert len(shadowed.readings.of_stream("m")) == 3

    assert found(shadowed) == (5, [])


def test_the_caller_has_memorys_answer(shadowed: Followed) -> None:
    shadowed.sql("UPDATE accounts SET balance = 7")

    assert shadowed.accounts.get("a") == account("a")


@pytest.mark.parametrize(
    "ask",
    [
        lambda f: f.accounts.get("a"),
        lambda f: f.accounts.page(limit=1),
        lambda f: f.accounts.find(owner="ann", limit=1),
    ],
    ids=["get", "page", "find"],
)
@pytest.mark.parametrize(
    ("harm", "what"),
    [
        ("UPDATE accounts SET balance = 7 WHERE account = 'a'", ("balance",)),
        ('UPDATE accounts SET tags = \'{"a": "b"}\'', ("tags",)),
        ("DELETE FROM accounts WHERE account = 'a'", ("it is not in the tables",)),
    ],
)
def test_a_row_that_differs_is_named(
    shadowed: Followed, ask: Callable[[Followed], object], harm: str, what: tuple[str, ...]
) -> None:
    shadowed.sql(harm)

    ask(shadowed)

    assert found(shadowed) == (1, [Mismatch("account", "a", what)])
    assert shadowed.reads.shadow.counts().mismatched == 1


def test_a_row_that_memory_does_not_have_is_named(shadowed: Followed) -> None:
    shadowed.sql(
        "INSERT INTO accounts SELECT 'bb', owner, 0, opened_at, tags FROM accounts LIMIT 1"
    )

    shadowed.accounts.page()
    shadowed.accounts.get("bb")

    assert found(shadowed) == (2, [Mismatch("account", "bb", ("it is not in memory",))] * 2)


def test_a_row_of_another_source_is_not_this_apps_concern(shadowed: Followed) -> None:
    shadowed.sql(
        "INSERT INTO accounts SELECT 'bb', owner, 0, opened_at, tags FROM accounts LIMIT 1"
    )
    shadowed.sql(
        "INSERT INTO memferry.lane VALUES (%s, 'app-2', 1, 0, 1, repeat('0', 64), 1)",
        shadowed.schema,
    )

    shadowed.accounts.page()

    assert found(shadowed) == (1, [])
    assert shadowed.reads.sample().mismatches == []


def test_rings_are_compared_over_what_memory_holds(shadowed: Followed) -> None:
    shadowed.sql("UPDATE readings SET value = 9 WHERE number IN (1, 3)")

    shadowed.readings.of_stream("m")
    shadowed.readings.get(("m", 1))
    shadowed.readings.page()

    assert found(shadowed) == (3, [Mismatch("reading", "m/3", ("value",))] * 2)


def test_what_is_on_its_way_to_the_tables_is_waited_for(shadowed: Followed) -> None:
    shadowed.ferry.record(deposited("a", 1, 1))

    shadowed.accounts.get("a")
    shadowed.catch_up()

    assert found(shadowed) == (1, [])


def test_an_app_that_writes_meanwhile_makes_no_mismatch(shadowed: Followed) -> None:
    stop = threading.Event()

    def trade() -> None:
        balance = 0
        while not stop.is_set():
            balance += 1
            shadowed.ferry.record(deposited("a", 1, balance))
            shadowed.ferry.record(opened(f"n{balance}"))
            if balance > 1:
                shadowed.ferry.record(closed(f"n{balance - 1}"))
            shadowed.catch_up()

    trading = threading.Thread(target=trade)
    trading.start()
    for _ in range(20):
        shadowed.accounts.get("a")
        shadowed.accounts.page()
        shadowed.accounts.find(owner="ann")
    shadowed.reads.shadow.join()
    stop.set()
    trading.join()

    assert found(shadowed) == (60, [])


def test_trouble_with_the_database_stays_with_the_shadow(
    make_app: Callable[..., App], settings: Settings
) -> None:
    app = make_app()
    app.ferry.record(opened("a"))
    away = Postgres(dsn="host=127.0.0.1 port=1 user=x", connect_timeout_s=2)
    reads = ReadRouting(app.ferry, Settings(postgres=away, reads=Reads(timeout_ms=50)))
    app.ferry.promises.serve_applied({})
    reads.route.set("shadow", 1)

    assert reads.reader("account").get("a") == account("a")
    reads.shadow.join()

    assert reads.shadow.counts() == ShadowCounts(0, 0, 0, 1)
    assert reads.shadow.last_failure
    reads.close(1)


def test_whatever_else_fails_stays_with_the_shadow_too() -> None:
    def broken(_kind: str) -> Any:
        raise ZeroDivisionError

    shadow = Shadow(broken)

    shadow.offer("account", None, [])  # type: ignore[arg-type]
    shadow.offer("account", None, [])  # type: ignore[arg-type]
    shadow.join()

    assert shadow.counts() == ShadowCounts(0, 0, 0, 2)
    shadow.close(5)


def test_what_does_not_fit_is_dropped_and_counted() -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(_kind: str) -> Any:
        begun.set()
        go.wait(10)
        raise ZeroDivisionError

    shadow = Shadow(slow, waiting_max=2)
    shadow.offer("account", None, [])  # type: ignore[arg-type]
    begun.wait(10)
    for _ in range(5):
        shadow.offer("account", None, [])  # type: ignore[arg-type]

    assert shadow.counts() == ShadowCounts(0, 0, 3, 0)
    closing = threading.Thread(target=shadow.close, args=(10,))
    closing.start()
    go.set()
    closing.join()
    counts = shadow.counts()
    shadow.offer("account", None, [])  # type: ignore[arg-type]
    assert shadow.counts() == counts
    assert shadow._reads.empty()
    assert counts.failed >= 1


# --- a sample for a cutover


def test_a_sample_of_equal_data_is_clean(shadowed: Followed) -> None:
    sample = shadowed.reads.sample(entities=2)

    assert sample.compared == {"account": 2, "reading": 2}
    assert sample.mismatches == []


def test_a_sample_names_what_differs(shadowed: Followed) -> None:
    shadowed.sql("UPDATE accounts SET owner = 'eve' WHERE account = 'b'")
    shadowed.sql("DELETE FROM readings WHERE number = 4")
    shadowed.sql(
        "INSERT INTO accounts SELECT 'bb', owner, 0, opened_at, tags FROM accounts LIMIT 1"
    )

    sample = shadowed.reads.sample()

    assert sample.mismatches == [
        Mismatch("account", "b", ("owner",)),
        Mismatch("account", "", ("memory holds 3 entities, the tables 4",)),
        Mismatch("reading", "m/4", ("it is not in the tables",)),
    ]
    assert msgspec.json.decode(msgspec.json.encode(sample))["compared"]["account"] == 3


def test_a_sample_waits_for_the_tables_once_however_much_it_compares(
    shadowed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, waits = shadowed.ferry.applied_through, []

    def counted(*given: Any) -> None:
        waits.append(given)
        wait(*given)

    monkeypatch.setattr(shadowed.ferry, "applied_through", counted)
    shadowed.ferry.record_all([opened(f"n{number}") for number in range(40)])
    shadowed.catch_up()

    sample = shadowed.reads.sample()

    assert sample.compared == {"account": 43, "reading": 3}
    assert len(waits) == 3  # each kind's entities, and how many accounts there are


def test_a_sample_of_what_changes_meanwhile_is_clean(
    shadowed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait, balance = shadowed.ferry.applied_through, iter(range(1, 100))

    def overtaken(*given: Any) -> None:
        wait(*given)
        so_far = next(balance)
        shadowed.ferry.record_all([deposited(name, 1, so_far) for name in "abc"])
        shadowed.catch_up()

    monkeypatch.setattr(shadowed.ferry, "applied_through", overtaken)

    assert shadowed.reads.sample().mismatches == []


def test_the_seed_decides_what_is_drawn(shadowed: Followed) -> None:
    shadowed.ferry.record_all([opened(f"n{number}") for number in range(40)])
    shadowed.catch_up()
    shadowed.sql("UPDATE accounts SET balance = 7")

    def drawn(seed: int) -> list[str]:
        return [m.key for m in shadowed.reads.sample(5, seed).mismatches]

    assert drawn(1) == drawn(1) != drawn(2)
    assert len(set(drawn(1))) == 5
