"""Clients that read entities of all five kinds over HTTP, and say what was wrong with an answer."""

import threading
from collections import Counter
from http import HTTPStatus
from itertools import cycle
from typing import Any

import httpx

from compose.trading_app.lifecycle import STAFF

KINDS = ("market_data", "strategy", "trade", "execution", "portfolio")
_EVERY_S = 0.05
_TIMEOUT_S = 30.0
_SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_STRATEGY = "S-breakout-20"
_BARS = 5


class Wrong(Exception):
    """An answer that cannot be."""


class Reader:
    """A thread that asks until told to stop; nothing is retried or forgiven.

    What it once saw it sees from then on: no read goes back in time, wherever reads go.
    """

    def __init__(self, url: str) -> None:
        self.reads: Counter[str] = Counter()
        """By the route that answered."""
        self.kinds: Counter[tuple[str, str]] = Counter()
        """By kind and route."""
        self.errors: list[str] = []
        self._url = url
        self._ended = threading.Event()
        self._newest_bar: Counter[str] = Counter()
        self._newest_portfolio = 0
        self._first_executions: list[str] = []
        self._trade = ""
        self._asks = {
            "market_data": self._bars, "strategy": self._strategies, "trade": self._trades,
            "execution": self._executions, "portfolio": self._portfolio,
        }  # fmt: skip
        self._symbols = cycle(_SYMBOLS)
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Finish the question under way, and end."""
        self._ended.set()
        self._thread.join(_TIMEOUT_S)

    def _run(self) -> None:
        kinds = cycle(self._asks.items())
        with httpx.Client(base_url=self._url, timeout=_TIMEOUT_S) as self._http:
            while not self._ended.wait(_EVERY_S):
                kind, ask = next(kinds)
                try:
                    route = ask(next(self._symbols))
                except (httpx.HTTPError, Wrong, ValueError, KeyError, TypeError) as error:
                    self.errors.append(f"{kind}: {type(error).__name__}: {error}")
                else:
                    self.reads[route] += 1
                    self.kinds[kind, route] += 1

    def _get(self, path: str, **query: Any) -> tuple[Any, str]:
        answer = self._http.get(path, params=query)
        if answer.status_code != HTTPStatus.OK:
            raise Wrong(f"{path} was answered with {answer.status_code}: {answer.text[:300]}")
        return answer.json(), answer.headers["memferry-route"]

    def _bars(self, symbol: str) -> str:
        bars, route = self._get(f"/bars/{symbol}", limit=_BARS)
        times = [bar["opened_at_ns"] for bar in bars]
        if len(bars) != _BARS or times != sorted(times) or {b["symbol"] for b in bars} != {symbol}:
            raise Wrong(f"not the newest bars of {symbol}: {bars}")
        if times[-1] < self._newest_bar[symbol]:
            raise Wrong(f"{route}: {symbol} goes back to {times[-1]}")
        self._newest_bar[symbol] = times[-1]
        return route

    def _strategies(self, _: str) -> str:
        found, route = self._get("/state/strategy", limit=1_000)
        ids = [strategy["strategy_id"] for strategy in found]
        if ids != sorted(ids) or not STAFF.keys() <= set(ids):
            raise Wrong(f"{route}: not all strategies in order: {ids}")
        return route

    def _trades(self, symbol: str) -> str:
        found, route = self._get("/state/trade", limit=3, **self._from())
        self._trade = found[0]["trade_id"]
        one, route = self._get(f"/state/trade/{self._trade}")
        if one["trade_id"] != self._trade or one["opened_at_ns"] != found[0]["opened_at_ns"]:
            raise Wrong(f"{route}: asked for {found[0]}, got {one}")
        waiting, route = self._get(f"/trades/open/{symbol}")
        if any(t["symbol"] != symbol or t["status"] not in _UNFILLED for t in waiting):
            raise Wrong(f"{route}: not the open trades of {symbol}: {waiting}")
        return route

    def _from(self) -> dict[str, str]:
        return {"from": self._trade} if self._trade else {}

    def _executions(self, _: str) -> str:
        found, route = self._get(f"/executions/{_STRATEGY}", limit=5)
        ids = [execution["execution_id"] for execution in found]
        if {e["strategy_id"] for e in found} != {_STRATEGY} or ids != sorted(ids):
            raise Wrong(f"{route}: not the executions of {_STRATEGY}: {found}")
        if missing := {i for i in self._first_executions if i < max(ids)} - set(ids):
            raise Wrong(f"{route}: executions {missing} are gone")
        self._first_executions = ids
        return route

    def _portfolio(self, _: str) -> str:
        found, route = self._get("/portfolios/main")
        if found["portfolio_id"] != "main" or found["taken_at_ns"] < self._newest_portfolio:
            raise Wrong(f"{route}: not the newest portfolio: {found}")
        self._newest_portfolio = found["taken_at_ns"]
        return route


_UNFILLED = {"open", "partially_filled"}
