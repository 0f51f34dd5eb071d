"""A small journal, log and set of rows, written by hand: what the checker's own tests change.

Two partitions, one source. Partition 0: trade/T-1 (in memory at attach, then filled and closed).
Partition 1: bars of BTC (one in memory at attach), a strategy, a run of it, a portfolio, a barrier.
"""

import hashlib
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.checker.comparison import Comparison
from tests.checker.event import Record
from tests.checker.kinds import TABLES
from tests.checker.verdict import Finding, Verdict

NOON = "2026-03-02T12:00:00Z"
NOON_NS = 1772452800000000000
NOON_TIME = datetime(2026, 3, 2, 12, tzinfo=UTC)
LATER = {"at": NOON, "at_ns": NOON_NS}
D = Decimal

TRADE = {
    "trade_id": "T-1", "strategy_id": "S-1", "symbol": "BTC", "side": "buy", "status": "open",
    "quantity": "2", "limit_price": "100.5", "filled_quantity": "0", "filled_value": "0",
    "average_price": None, "fees": "0", "exit_price": None, "realised_profit": None,
    "opened_at": NOON, "opened_at_ns": NOON_NS, "updated_at": NOON, "updated_at_ns": NOON_NS,
    "closed_at": None, "closed_at_ns": None,
}  # fmt: skip
BAR = {
    "symbol": "BTC", "opened_at": NOON, "opened_at_ns": NOON_NS, "open": "100", "high": "101.50",
    "low": "99", "close": "100.25", "volume": 12,
}  # fmt: skip
BAR_TWO = BAR | {"opened_at": "2026-03-02T12:01:00.000250Z", "opened_at_ns": NOON_NS + 60000250000}
PORTFOLIO: dict[str, Any] = {
    "portfolio_id": "P-1", "taken_at": NOON, "taken_at_ns": NOON_NS, "cash": "50", "equity": "251",
    "positions": [
        {"symbol": "BTC", "quantity": "2", "average_price": "100", "market_price": "100.5"}
    ],
}  # fmt: skip

EVENTS: list[tuple[int, str, str, dict[str, Any]]] = [
    (0, "trade/T-1", "trading.trade.snapshotted.v1", TRADE),
    (0, "trade/T-1", "trading.trade.partially_filled.v1",
     {"trade_id": "T-1", "fill_quantity": "0.5", "fill_price": "100", "fill_fee": "0.1",
      "filled_quantity": "0.5", "filled_value": "50.0", "average_price": "100.00000000",
      "fees": "0.1", **LATER}),
    (0, "trade/T-1", "trading.trade.executed.v1",
     {"trade_id": "T-1", "fill_quantity": "1.5", "fill_price": "100.5", "fill_fee": "0.2",
      "filled_quantity": "2.0", "filled_value": "200.75", "average_price": "100.37500000",
      "fees": "0.3", **LATER}),
    (0, "trade/T-1", "trading.trade.closed.v1",
     {"trade_id": "T-1", "exit_price": "110", "exit_fee": "0.2", "fees": "0.5",
      "realised_profit": "18.75", **LATER}),
    (1, "market_data/BTC", "trading.market_data.snapshotted.v1", BAR),
    (1, "market_data/BTC", "trading.market_data.bar_received.v1", BAR_TWO),
    (1, "strategy/S-1", "trading.strategy.registered.v1",
     {"strategy_id": "S-1", "algorithm": "trend", "parameters": {"window": "20"}, **LATER}),
    (1, "strategy/S-1", "trading.strategy.started.v1", {"strategy_id": "S-1", **LATER}),
    (1, "memferry/app", "memferry.barrier.placed.v1", {"barrier": "b", "purpose": "audit"}),
    (1, "execution/E-1", "trading.execution.started.v1",
     {"execution_id": "E-1", "strategy_id": "S-1", "symbol": "BTC", "bar_opened_at": NOON,
      "bar_opened_at_ns": NOON_NS, **LATER}),
    (1, "execution/E-1", "trading.execution.signalled.v1",
     {"execution_id": "E-1", "signal": "buy", "strength": "0.75", "trade_id": None, **LATER}),
    (1, "portfolio/P-1", "trading.portfolio.taken.v1", PORTFOLIO),
]  # fmt: skip

ROWS: dict[str, list[dict[str, Any]]] = {
    "trades": [
        {"trade_id": "T-1", "strategy_id": "S-1", "symbol": "BTC", "side": "buy",
         "status": "closed", "quantity": D(2), "limit_price": D("100.5"),
         "filled_quantity": D(2), "filled_value": D("200.75"), "average_price": D("100.375"),
         "fees": D("0.5"), "exit_price": D(110), "realised_profit": D("18.75"),
         "opened_at": NOON_TIME, "opened_at_ns": NOON_NS, "updated_at": NOON_TIME,
         "updated_at_ns": NOON_NS, "closed_at": NOON_TIME, "closed_at_ns": NOON_NS}
    ],
    "market_bars": [
        {"symbol": "BTC", "opened_at": NOON_TIME, "opened_at_ns": NOON_NS, "open": D(100),
         "high": D("101.5"), "low": D(99), "close": D("100.25"), "volume": 12},
        {"symbol": "BTC", "opened_at": datetime(2026, 3, 2, 12, 1, 0, 250, tzinfo=UTC),
         "opened_at_ns": NOON_NS + 60000250000, "open": D(100), "high": D("101.5"), "low": D(99),
         "close": D("100.25"), "volume": 12},
    ],
    "strategies": [
        {"strategy_id": "S-1", "algorithm": "trend", "status": "running",
         "parameters": {"window": "20"}, "registered_at": NOON_TIME, "registered_at_ns": NOON_NS,
         "updated_at": NOON_TIME, "updated_at_ns": NOON_NS}
    ],
    "strategy_executions": [
        {"execution_id": "E-1", "strategy_id": "S-1", "symbol": "BTC", "status": "signalled",
         "signal": "buy", "trade_id": None, "error": None, "strength": D("0.75"),
         "bar_opened_at": NOON_TIME, "bar_opened_at_ns": NOON_NS, "started_at": NOON_TIME,
         "started_at_ns": NOON_NS, "updated_at": NOON_TIME, "updated_at_ns": NOON_NS}
    ],
    "portfolio_snapshots": [
        {"portfolio_id": "P-1", "taken_at": NOON_TIME, "taken_at_ns": NOON_NS, "cash": D(50),
         "equity": D(251)}
    ],
    "portfolio_positions": [
        {"portfolio_id": "P-1", "taken_at": NOON_TIME, "taken_at_ns": NOON_NS,
         "symbol": "BTC", "quantity": D(2), "average_price": D(100),
         "market_price": D("100.5")}
    ],
}  # fmt: skip


class Story:
    """Journal lines, records by partition, and rows: change any of them, then `judge`."""

    def __init__(self) -> None:
        self.log: dict[int, list[bytes]] = {0: [], 1: []}
        self.journal = [_line({"baseline": "trade", "entity": TRADE}),
                        _line({"baseline": "market_data", "entity": BAR})]  # fmt: skip
        self.tables = {name: [dict(row) for row in rows] for name, rows in ROWS.items()}
        for partition, stream, event_type, data in EVENTS:
            event = self.write(partition, stream, event_type, data)
            if "snapshotted" not in event_type and "barrier" not in event_type:
                self.acknowledge(partition, event)

    def write(
        self, partition: int, stream: str, event_type: str, data: dict[str, Any], event_id: str = ""
    ) -> dict[str, Any]:
        """Append an event to the end of its lane, numbered and chained."""
        lane = self.log[partition]
        seq = len(lane) + 1
        name = f"memferry lane app/g1/p{partition}".encode()
        event = {
            "specversion": "1.0", "id": event_id or f"id-{partition}-{seq}", "source": "app",
            "type": event_type, "subject": stream, "time": "2026-03-02T12:00:00.000000000Z",
            "seq": str(seq), "epoch": 1,
            "chain": hashlib.sha256(lane[-1] if lane else name).hexdigest(), "data": data,
        }  # fmt: skip
        lane.append(json.dumps(event, separators=(",", ":")).encode())
        return event

    def acknowledge(self, partition: int, event: dict[str, Any]) -> None:
        """Append to the journal what the app would when an event is durable."""
        line = {name: event[name] for name in ("id", "type", "source", "data")}
        line |= {"stream": event["subject"], "partition": partition, "seq": int(event["seq"])}
        self.journal.append(_line(line))

    def rechain(self, partition: int) -> None:
        """Chain a changed lane anew: a forger's work, which only the journal gives away."""
        before = f"memferry lane app/g1/p{partition}".encode()
        for place, value in enumerate(self.log[partition]):
            event = json.loads(value)
            event |= {"seq": str(place + 1), "chain": hashlib.sha256(before).hexdigest()}
            before = json.dumps(event, separators=(",", ":")).encode()
            self.log[partition][place] = before

    def judge(
        self, *, until: dict[int, int] | None = None, snapshot_complete: bool = True
    ) -> Verdict:
        """Return the checker's verdict."""
        comparison = Comparison(self.journal, 1, until)
        for partition, lane in self.log.items():
            for offset, value in enumerate(lane):
                key = json.loads(value)["subject"].encode()
                comparison.take(Record(partition, offset, key, value))
        comparison.end_log(snapshot_complete=snapshot_complete)
        for table in TABLES:
            check = comparison.rows_of(table)
            for row in self.tables[table.name]:
                check.admit([row[name] for name in table.columns])
            check.finish()
            comparison.counts.rows[table.name] = check.rows
        return comparison.verdict()


def found(findings: list[Finding], kind: str, *places: str) -> list[Finding]:
    """Return the findings of a kind whose text names every one of the places."""
    return [f for f in findings if f.kind == kind and all(place in str(f) for place in places)]


def change(lane: list[bytes], place: int, **members: Any) -> None:
    """Give one event of a lane other members."""
    lane[place] = json.dumps(json.loads(lane[place]) | members, separators=(",", ":")).encode()


def _line(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
