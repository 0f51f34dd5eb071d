"""A running app with its relay and control connection."""

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

import eventlog
from eventlog.receipts import Receipt
from projector.runner import Projector
from schemas.settings import Settings
from tests.domains.ledger import Account, AccountOpened, AmountDeposited, Reading, ReadingTaken
from tests.projector.projecting import eventually, projecting

OPENED = datetime(2024, 1, 1, tzinfo=UTC)


class Live:
    """An app whose memory the tests may change behind the shim's back."""

    def __init__(self, settings: Settings, accounts: dict[str, Account] | None = None) -> None:
        self.settings = settings
        self.accounts = {} if accounts is None else accounts
        self.readings: dict[str, deque[Reading]] = {"m-0": deque(maxlen=3)}
        self.ferry = eventlog.attach(settings)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.readings)

    def open(self, *names: str) -> Receipt:
        for name in names:
            receipt = self.ferry.record(AccountOpened(name, "Ada", OPENED, {"n": name}))
        return receipt

    def deposit(self, name: str, amount: int) -> Receipt:
        balance = self.accounts[name].balance + amount
        return self.ferry.record(AmountDeposited(name, Decimal(amount), balance))

    def read(self, meter: str, *numbers: int) -> None:
        for number in numbers:
            self.ferry.record(ReadingTaken(meter, number, Decimal(number)))

    def forge(self, name: str) -> None:
        """One entity becomes another, without an event."""
        self.accounts[name] = msgspec.structs.replace(self.accounts[name], owner="Eve")


@pytest.fixture
def make_live() -> Iterator[Callable[..., Live]]:
    """Return apps that are closed at the end."""
    apps: list[Live] = []

    def make(settings: Settings, **content: Any) -> Live:
        apps.append(Live(settings, **content))
        return apps[-1]

    yield make
    for app in apps:
        app.ferry.close()


@pytest.fixture
def live(settings: Settings, make_live: Callable[..., Live]) -> Live:
    """An app with four accounts and a window of three of its five readings."""
    app = make_live(settings)
    app.open("a", "b", "c", "d")
    app.read("m-0", 1, 2, 3, 4, 5)
    app.deposit("a", 5).durable(5)
    return app


@pytest.fixture
async def projector(live: Live, settings: Settings) -> AsyncIterator[Projector]:
    """A projector that runs beside the app and has caught up with it."""
    async with projecting(settings) as projector:
        await eventually(lambda: projector.progress.applied == 10, "the history applied")
        yield projector
