"""An app that holds state and knows nothing of memferry: it trades, and loads plug-ins when told.

Told by lines on standard input; it answers each with one line of JSON.
"""

import importlib
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from tests.domains.ledger import Account

_PACE_S = 0.002
NAMES = tuple(f"A-{number}" for number in range(25))


class Desk:
    """Accounts in a dict, and a thread that pays into them."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.deposits = 0
        self.at_end: list[Callable[[], None]] = []
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._trade)

    def open_accounts(self) -> None:
        """Begin with a history."""
        for number, name in enumerate(NAMES):
            at = datetime(2026, 1, 1, tzinfo=UTC)
            self.accounts[name] = Account(name, f"owner {number}", Decimal(number), at)

    def deposit(self, name: str, amount: Decimal) -> None:
        """Change memory; a plug-in may put another function here."""
        account = self.accounts[name]
        self.accounts[name] = msgspec.structs.replace(account, balance=account.balance + amount)

    def trade(self) -> None:
        self._thread.start()

    def rest(self) -> None:
        self._ending.set()
        self._thread.join()

    def _trade(self) -> None:
        while not self._ending.wait(_PACE_S):
            with self.lock:
                self.deposit(NAMES[self.deposits % len(NAMES)], Decimal("0.01"))
                self.deposits += 1


def main() -> None:
    desk = Desk()

    def load(module: str) -> None:
        importlib.import_module(module).install(desk)

    def end() -> None:
        desk.rest()
        for one in desk.at_end:
            one()

    commands: dict[str, Callable[..., object]] = {
        "open": desk.open_accounts, "trade": desk.trade, "load": load, "end": end,
        "count": lambda: desk.deposits, "accounts": lambda: desk.accounts,
    }  # fmt: skip
    for line in sys.stdin:
        name, *arguments = line.split()
        answer: Any = commands[name](*arguments)
        sys.stdout.write(msgspec.json.encode(answer).decode() + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
