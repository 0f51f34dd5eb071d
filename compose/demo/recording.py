"""What a run leaves for its page: samples, the client's waits, and when what happened."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from compose.demo.client import Write
from compose.demo.watch import Sample
from projector.migration.result import MigrationResult


class Chapter(NamedTuple):
    """Something that happened, seconds after the beginning."""

    name: str
    at_s: float


class Course(NamedTuple):
    """One run; `started` is the monotonic time of its beginning."""

    started: float
    samples: Sequence[Sample]
    writes: Sequence[Write]
    chapters: Sequence[Chapter]
    migration: MigrationResult


def lost_and_doubled(
    recorded: Mapping[int, int], applied: Mapping[int, int], findings: Sequence[Mapping[str, Any]]
) -> tuple[int, int]:
    """Return how many events of the outbox are not in the tables' lanes, and how many too many.

    Rows that the log does not explain count as too many.
    """
    lost = sum(max(0, seq - applied.get(p, 0)) for p, seq in recorded.items())
    doubled = sum(max(0, seq - recorded.get(p, 0)) for p, seq in applied.items())
    extra = sum(finding["problem"] == "extra" for finding in findings)
    return lost, doubled + extra
