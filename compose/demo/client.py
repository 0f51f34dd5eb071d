"""A client of the app: places orders over HTTP, reads each back, times them by its own clock."""

import itertools
import threading
import time
from collections import Counter
from http import HTTPStatus
from typing import NamedTuple

import httpx

from compose.trading_app.lifecycle import STAFF

_EVERY_S = 0.01
_TIMEOUT_S = 30.0
_SYMBOLS = ("AAPL", "IBM", "MSFT")
"""Those that are traded from the first bar on."""


class Write(NamedTuple):
    """One acknowledged order: when it was sent (monotonic), and how long that took."""

    at: float
    seconds: float


class Client:
    """A thread that goes on until the end of its `with`; nothing is retried or forgiven.

    Only a desk's own refusal (the strategy has a trade in the symbol already) is no error: the
    next strategy is tried.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo-client", daemon=True)
        self._slots = itertools.cycle(itertools.product(STAFF, _SYMBOLS))
        self.writes: list[Write] = []
        self.reads: Counter[str] = Counter()
        """Reads by the route that answered."""
        self.errors: list[str] = []
        """Requests that failed, and reads that did not show what was written before."""

    def __enter__(self) -> "Client":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the order under way, and end."""
        self._ended.set()
        self._thread.join(_TIMEOUT_S)

    def longest_ms(self, since: float, until: float) -> float:
        """Return the longest that an order waited which was under way between two moments."""
        waits = [w.seconds for w in self.writes if w.at < until and w.at + w.seconds > since]
        return max(waits, default=0.0) * 1000

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=_TIMEOUT_S) as http:
            while not self._ended.wait(_EVERY_S):
                try:
                    self._order(http)
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.errors.append(f"{type(error).__name__}: {error}")

    def _order(self, http: httpx.Client) -> None:
        strategy_id, symbol = next(self._slots)
        order = {
            "strategy_id": strategy_id, "symbol": symbol, "side": "buy", "quantity": "1",
            "limit_price": "0.01",
        }  # fmt: skip
        sent = time.monotonic()
        answer = http.post("/orders", json=order)
        took = time.monotonic() - sent
        if answer.status_code == HTTPStatus.CONFLICT:
            return
        if answer.status_code != HTTPStatus.CREATED:
            self.errors.append(f"order refused: {answer.status_code} {answer.text}")
            return
        self.writes.append(Write(sent, took))
        placed = answer.json()
        trade_id = placed["trade"]["trade_id"]
        read = http.get(f"/state/trade/{trade_id}", params={"after": placed["event_id"]})
        if read.status_code != HTTPStatus.OK or read.json()["trade_id"] != trade_id:
            self.errors.append(f"order {trade_id} was acknowledged, but not read: {read.text}")
            return
        self.reads[read.headers["memferry-route"]] += 1
