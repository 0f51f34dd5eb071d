"""One benchmark's figure, and how a process says it."""

import statistics
from collections.abc import Callable, Sequence

import msgspec


class Result(msgspec.Struct, frozen=True):
    """`limit` is what the bare parts do in the same run; `ratio` is value / limit."""

    name: str
    value: float
    unit: str
    limit: float | None
    ratio: float | None
    rss_mb: float
    note: str = ""


def result(
    name: str,
    value: float,
    unit: str,
    limit: float | None = None,
    rss_mb: float | None = None,
    note: str = "",
) -> Result:
    """Return a result with its ratio, and this process's peak memory where none is given."""
    ratio = round(value / limit, 3) if limit else None
    return Result(
        name, round(value, 2), unit, round(limit, 2) if limit else None, ratio,
        round(rss_mb if rss_mb is not None else peak_rss_mb(), 1), note,
    )  # fmt: skip


def peak_rss_mb(pid: int | None = None) -> float:
    """Return the peak resident memory of a process, this one by default, in MB.

    Not getrusage's: a process starts with its parent's peak there.
    """
    return _status_mb(pid, "VmHWM")


def rss_mb(pid: int | None = None) -> float:
    """Return the resident memory that a process has now, this one by default, in MB."""
    return _status_mb(pid, "VmRSS")


def _status_mb(pid: int | None, name: str) -> float:
    with open(f"/proc/{pid or 'self'}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith(name))
    return int(line.split()[1]) / 1024


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile of measured values."""
    return statistics.quantiles(values, n=100)[percent - 1]


Benchmark = Callable[[], list[Result]]
