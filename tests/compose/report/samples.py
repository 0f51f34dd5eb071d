"""Reports made by the builders from results as audits and validations have them."""

import datetime

from projector.audit.audit_report import report_of_audit
from projector.audit.compare import ColumnDifference, Finding
from projector.audit.levels.level import LEVELS, Breach, LevelName, LevelResult
from projector.audit.report import Distribution, Report, TimeSeries
from projector.audit.result import AuditResult
from projector.audit.validation_report import report_of_validation
from projector.parked import ParkedStream

STARTED = datetime.datetime(2026, 3, 5, 14, 30, 7, tzinfo=datetime.UTC)
TABLES = ("trades", "strategy_executions", "portfolio_snapshots", "market_bars")
RULES: dict[LevelName, list[str]] = {
    "syntax": ["record.decodes", "trade.types", "trade.required", "portfolio.types"],
    "semantic": ["trade.price_positive", "trade.time_order", "bar.high_not_below_low"],
    "business": ["trade.fees_recompute", "trade.fills_within_order", "portfolio.cash_reconciles"],
    "cross_reference": ["trade.strategy_known", "execution.signals_known"],
    "statistical": ["trade.price_outliers", "trade.fees_drift"],
}


def audit_result(*findings: Finding, **fields: object) -> AuditResult:
    unequal = {finding.table for finding in findings}
    result = AuditResult(
        position="0:41210,1:39877,2:40112",
        equal={table: table not in unequal for table in TABLES},
        rows=dict(zip(TABLES, (120_000, 31_500, 8_640, 840_000), strict=True)),
        table_rows=dict(zip(TABLES, (120_000, 31_500, 8_640, 840_000), strict=True)),
        memory_rows=dict(zip(TABLES, (120_000, 5_000, 96, 2_000), strict=True)),
        events=1_204,
        duplicates_in_log=0,
        sources=["app-1"],
        memory_compared=True,
        findings=list(findings),
        seconds=3.4,
        continued_from="0:41008,1:39700,2:39915",
        coverage=["outbox of app-1: 121,199 events are whole"],
    )
    for name, value in fields.items():
        setattr(result, name, value)
    return result


def differs(key: str = "T-17", table: str = "trades", *, parked: bool = False) -> Finding:
    columns = [ColumnDifference("fees", "1.25", "1.20")]
    detail = "its last event is at partition 1, offset 32170"
    return Finding(
        "tables", "differs", table, key, f"trade/{key}", parked, columns=columns, detail=detail
    )


def parked(stream: str = "trade/T-9") -> ParkedStream:
    return ParkedStream(
        stream, 1, 3, 4711, STARTED, "trading.trade.closed.v1", "fees: Expected `str`, got `int`",
        "partition 1, offset 4711",
    )  # fmt: skip


def audited(result: AuditResult, **fields: object) -> Report:
    return report_of_audit(
        result, projection="trading", started_at=STARTED, threshold=95.0, **fields  # type: ignore[arg-type]
    )  # fmt: skip


def series(name: str = "lag", unit: str = "events") -> TimeSeries:
    values = [float((7 * n * n) % 53) for n in range(48)]
    start = STARTED.timestamp()
    return TimeSeries(name, unit, [start - 86_400 + 1800 * n for n in range(48)], values)


def breach(rule: str = "trade.fees_recompute", count: int = 3, **fields: object) -> Breach:
    level = next(level for level, rules in RULES.items() if rule in rules)
    values: dict[str, object] = {
        "level": level,
        "rule": rule,
        "what": "fees are not those of the fills",
        "kind": "trade",
        "count": count,
        "rows": [f"T-{n}" for n in range(min(count, 5))],
        "observed": "fees = 1.25",
        "expected": "fees = 1.20",
    }
    return Breach(**{**values, **fields})  # type: ignore[arg-type]


def results(*breaches: Breach, looked: int = 10_000) -> list[LevelResult]:
    found = []
    for level in LEVELS:
        of_level = [one for one in breaches if one.level == level]
        broken = max([0, *(one.count for one in of_level)])
        found.append(LevelResult(level, looked, broken, RULES[level], of_level, seconds=1.5))
    return found


def distribution(field: str = "trade.fees", *, drifted: bool = False) -> Distribution:
    target = [0.05, 0.1, 0.15, 0.2, 0.5] if drifted else [0.1, 0.21, 0.39, 0.2, 0.1]
    psi, ks = (0.81, 0.4) if drifted else (0.003, 0.02)
    edges = [0.0, 0.5, 1.0, 2.0, 5.0, 12_500.0]
    return Distribution(field, edges, [0.1, 0.2, 0.4, 0.2, 0.1], target, ks, psi, drifted)


def validated(*breaches: Breach, **fields: object) -> Report:
    return report_of_validation(
        {"tables": results(*breaches)}, projection="trading", position="0:41210,1:39877,2:40112",
        started_at=STARTED, seconds=21.7, threshold=95.0, **fields,  # type: ignore[arg-type]
    )  # fmt: skip
