"""The shim, as a plug-in of the desk: before it trades, or while it does."""

import os
from decimal import Decimal
from typing import Any

import msgspec

import eventlog
from schemas.settings import Settings
from tests.domains.ledger import AmountDeposited


def install(desk: Any) -> None:
    """Attach, register, record from now on; what memory held goes to the log behind it."""
    settings = msgspec.json.decode(os.environ["DESK_SETTINGS"], type=Settings)
    ferry = eventlog.attach(settings)

    def deposit(name: str, amount: Decimal) -> None:
        balance = desk.accounts[name].balance + amount
        ferry.record(AmountDeposited(name, amount, balance))

    with desk.lock:  # the app's own: no deposit goes past the shim
        ferry.register("account", desk.accounts)
        desk.deposit = deposit
    ferry.register("reading", {})
    ferry.watch_app(desk, "desk")
    ferry.snapshot()
    desk.at_end.append(ferry.close)
