"""A small trading app that keeps its state in memory, with memferry beside it.

memferry stack up && eval "$(memferry stack env)"
python docs/quickstart.py --trades 1000 &
memferry project &
memferry migrate --zero-downtime
"""

import argparse
import time
from decimal import Decimal

import msgspec

import eventlog

ferry = eventlog.attach("memferry.toml")


@ferry.entity(stream="position", key="symbol")
class Position(msgspec.Struct):
    """A dataclass or an attrs class would do as well, frozen or not."""

    symbol: str
    quantity: Decimal
    average_price: Decimal


positions = ferry.dict("positions", Position)  # the table app.positions


@ferry.event(stream="trade", key="trade_id")
class TradeExecuted(msgspec.Struct, frozen=True):
    """A fact: one row of the table app.trades."""

    trade_id: str
    symbol: str
    price: Decimal


def execute(trade_id: str, symbol: str, price: Decimal) -> None:
    """Buy one share: the app's own code, and one line more."""
    position = positions.setdefault(symbol, Position(symbol, Decimal(0), Decimal(0)))
    cost = position.quantity * position.average_price + price
    position.quantity += 1  # recorded, as every change within
    position.average_price = (cost / position.quantity).quantize(Decimal("0.0001"))
    ferry.record(TradeExecuted(trade_id, symbol, price)).durable(timeout=1)


def main() -> None:
    """Trade for a while, about a hundred times a second."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trades", type=int, default=1_000)
    trades = parser.parse_args().trades
    print(f"holding {sum(p.quantity for p in positions.values())} shares")  # after a restart, too
    for number in range(trades):
        symbol = ("BTC", "ETH", "SOL")[number % 3]
        execute(f"T-{time.time_ns()}", symbol, Decimal(100 + number % 7))
        time.sleep(0.01)
    ferry.close()


if __name__ == "__main__":
    main()
