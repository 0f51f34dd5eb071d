"""What Prometheus reads of an audit job: how its audits ended, and what the newest one found."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from projector.audit.history import Ending, Verdict
from projector.audit.report import Report

_PREFIX = "memferry_audit_"
Metric: TypeAlias = CounterMetricFamily | GaugeMetricFamily


class Tally:
    """How a job's audits ended, and the newest that came to a report."""

    def __init__(self, clean_at_s: float | None = None) -> None:
        self.clean_at_s = clean_at_s
        """When an audit was last found clean, in Unix time; None: never."""
        self.verdicts: dict[Verdict, int] = dict.fromkeys(
            ("clean", "findings", "error", "interrupted"), 0
        )
        self.newest: Ending | None = None

    def add(self, ending: Ending) -> None:
        """Count one audit."""
        self.verdicts[ending.verdict] += 1
        if ending.report is not None:
            self.newest = ending
        if ending.verdict == "clean":
            self.clean_at_s = time.time()


class AuditCollector(Collector):
    """A job's numbers, made when they are asked for; docs/metrics.md tells each one's meaning."""

    def __init__(
        self, projection: str, tally: Tally, now_s: Callable[[], float] = time.time
    ) -> None:
        self._projection = projection
        self._tally = tally
        self._now_s = now_s

    def collect(self) -> Iterator[Metric]:
        """Yield every metric; called by the thread that answers Prometheus."""
        tally = self._tally
        runs = CounterMetricFamily(
            _PREFIX + "runs", "Audits that ended, by verdict.", labels=("projection", "verdict")
        )
        for verdict, count in tally.verdicts.items():
            runs.add_metric((self._projection, verdict), count)
        yield runs
        errors = CounterMetricFamily(
            _PREFIX + "errors", "Audits that came to nothing.", labels=("projection",)
        )
        errors.add_metric((self._projection,), tally.verdicts["error"])
        yield errors
        if tally.clean_at_s is not None:
            age_s = max(0.0, self._now_s() - tally.clean_at_s)
            yield self._gauge(
                "last_clean_timestamp_seconds", "When one was last clean.", tally.clean_at_s
            )
            yield self._gauge("last_clean_age_seconds", "Time since one was last clean.", age_s)
        if tally.newest is not None and tally.newest.report is not None:
            yield from self._of_newest(tally.newest, tally.newest.report)

    def _of_newest(self, ending: Ending, report: Report) -> Iterator[Metric]:
        yield self._gauge("last_seconds", "How long the newest took.", ending.seconds)
        yield self._gauge("rows", "Rows of the log that it compared.", ending.rows)
        if ending.score is not None:
            yield self._gauge("score", "Its quality score, of 100.", ending.score)
        found = GaugeMetricFamily(
            _PREFIX + "findings", "What it found.", labels=("projection", "witness", "problem")
        )
        for (witness, problem), count in findings_of(report).items():
            found.add_metric((self._projection, witness, problem), count)
        yield found

    def _gauge(self, name: str, meaning: str, value: float) -> GaugeMetricFamily:
        family = GaugeMetricFamily(_PREFIX + name, meaning, labels=("projection",))
        family.add_metric((self._projection,), value)
        return family


def findings_of(report: Report) -> Counter[tuple[str, str]]:
    """Return how many rows disagree, by witness and problem."""
    counts: Counter[tuple[str, str]] = Counter()
    for finding in report.findings:
        witness, _, problem = finding.rule.partition(".")
        counts[witness, problem] += finding.count
    return counts
