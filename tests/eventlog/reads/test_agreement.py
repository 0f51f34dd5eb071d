"""Memory and tables give the same answers, whatever was recorded and whatever is asked."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from eventlog.reads.reader import Reader
from eventlog.reads.routing import ReadRouting
from schemas.settings import Settings
from tests.domains.ledger import AccountClosed, AccountOpened, AmountDeposited, ReadingTaken
from tests.eventlog.app import DEADLINE_S, WINDOW, taken
from tests.eventlog.reads.followed import Followed
from tests.projector.projecting import projecting

METERS = ("m", "é", "n/o")
owners = st.sampled_from("xyz")
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3)
tags = st.dictionaries(names, names, max_size=2)
amounts = st.decimals("-1000", "1000", places=6)
times = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


class Step(NamedTuple):
    """What an app might do next; what it comes to follows from what there is."""

    name: str
    meter: str
    owner: str
    opened_at: datetime
    tags: dict[str, str]
    amount: Decimal
    choice: int


class Asked(NamedTuple):
    """What is asked of both sides."""

    behind: str | None
    limit: int
    owner: str
    tags: dict[str, str]
    absent: str


steps = st.builds(
    Step, names, st.sampled_from(METERS), owners, times, tags, amounts, st.integers(0, 3)
)
asked = st.builds(Asked, st.none() | names, st.integers(0, 5), owners, tags, names)
runs = st.tuples(st.lists(steps, max_size=25), asked)


def do(ferry: Any, step: Step) -> None:
    if step.choice == 0:
        newest = ferry.stores()["reading"].of_stream(f"reading/{step.meter}")[-1:]
        number = 1 + sum(reading.number for reading in newest)
        ferry.record(ReadingTaken(step.meter, number, step.amount))
        return
    present = ferry.stores()["account"].get(step.name)
    if present is None:
        ferry.record(AccountOpened(step.name, step.owner, step.opened_at, step.tags))
    elif step.choice == 1:
        ferry.record(AccountClosed(step.name))
    else:
        amount = abs(step.amount)
        ferry.record(AmountDeposited(step.name, amount, present.balance + amount))


def require_agreement(accounts: Reader, readings: Reader, asked: Asked) -> None:
    memory, tables = accounts.pinned("memory"), accounts.pinned("postgres")
    everything = memory.find()
    assert tables.find() == everything
    assert tables.count() == len(everything) == memory.count()
    assert tables.page(asked.behind, asked.limit) == memory.page(asked.behind, asked.limit)
    for wanted in ({"owner": asked.owner}, {"tags": asked.tags}):
        assert tables.find(wanted) == memory.find(wanted)
        assert tables.find(wanted, limit=asked.limit) == memory.find(wanted, limit=asked.limit)
    for entity in everything[:2]:
        assert tables.get(entity.account) == entity
        assert tables.of_stream(entity.account) == [entity]
        assert entity in tables.find(opened_at=entity.opened_at, balance=entity.balance)
    assert tables.get(asked.absent) == memory.get(asked.absent)
    require_newest(readings)


def require_newest(readings: Reader) -> None:
    memory, tables = readings.pinned("memory"), readings.pinned("postgres")
    for meter in METERS:
        held = memory.of_stream(meter)
        assert len(held) <= WINDOW
        assert tables.of_stream(meter, limit=len(held)) == held
        for reading in held:
            assert tables.get((meter, reading.number)) == reading
    assert [r for r in tables.page(limit=10_000) if r in memory.find()] == memory.find()


def test_memory_and_tables_answer_alike(followed: Followed) -> None:
    @hypothesis_settings(max_examples=40, deadline=None)
    @given(runs)
    def run(drawn: tuple[list[Step], Asked]) -> None:
        for step in drawn[0]:
            do(followed.ferry, step)
        followed.catch_up()

        require_agreement(followed.accounts, followed.readings, drawn[1])

    run()


# The shim's threads draw random numbers of their own while hypothesis draws.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
async def test_a_read_behind_a_write_sees_it_in_the_tables(
    attach: Callable[..., Any], settings: Settings
) -> None:
    ferry = await asyncio.to_thread(attach, settings)
    reads = ReadRouting(ferry, settings)

    @hypothesis_settings(max_examples=15, deadline=None)
    @given(runs)
    def run(drawn: tuple[list[Step], Asked]) -> None:
        for step in drawn[0]:
            do(ferry, step)

        require_agreement(reads.reader("account"), reads.reader("reading"), drawn[1])

    async with projecting(settings):
        await ferry.record(taken("m", 1)).until_applied(DEADLINE_S)
        await asyncio.to_thread(run)
    reads.close(5)


def test_times_and_money_come_back_to_the_last_digit(followed: Followed) -> None:
    exact = [
        AccountOpened("a", "x", datetime(2026, 1, 2, 3, 4, 5, 999_999, UTC), {"k": 'ü"\\\n'}),
        AccountOpened("b", "x", datetime(1, 1, 1, tzinfo=UTC) + timedelta(microseconds=1)),
        AmountDeposited("a", Decimal("0.000000000000000000010"), Decimal("1E-20")),
        AmountDeposited("b", Decimal("9" * 24 + ".10"), Decimal("9" * 24 + ".10")),
    ]
    followed.ferry.record_all(exact)
    followed.catch_up()

    for name in "ab":
        in_memory = followed.accounts.get(name)
        in_tables = followed.accounts.pinned("postgres").get(name)

        assert in_tables == in_memory
        assert in_tables.opened_at.tzinfo is UTC
