"""Run benchmarks, each in a process of its own, print a table, write build/bench/results.json.

python -m tests.benchmarks            all
python -m tests.benchmarks NAME,…     those whose figures are named
"""

import subprocess
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from tests.benchmarks import (
    audit_million,
    catch_up,
    cutover,
    digest_upkeep,
    live,
    near_savepoint,
    opening,
    pause_comparison,
    pipeline,
    record,
    relay,
    replay,
    swap_pause,
    validate_million,
)
from tests.benchmarks.result import Benchmark, Result

BENCHMARKS: list[tuple[tuple[str, ...], Benchmark]] = [
    (("record_p50_us", "record_p99_us"), record.latency),
    (("record_durable_events_per_s",), record.sustained),
    (("receipt_durable_p99_ms",), record.receipts),
    (digest_upkeep.FIGURES, digest_upkeep.upkeep),
    (("outbox_open_s",), opening.full_outbox),
    (("relay_events_per_s",), relay.from_full_outbox),
    (("catch_up_events_per_s",), catch_up.one_partition),
    (("catch_up_4_partitions_events_per_s",), catch_up.four_partitions),
    (("mixed_events_per_s",), catch_up.mixed),
    (("replay_events_per_s",), replay.fresh_tables),
    (live.FIGURES, live.visible),
    (("pipeline_events_per_s",), pipeline.everything),
    (cutover.FIGURES, cutover.switches),
    (swap_pause.FIGURES, swap_pause.at_swaps),
    (near_savepoint.FIGURES, near_savepoint.rolled_back),
    (pause_comparison.FIGURES, pause_comparison.comparison),
    (audit_million.FIGURES, audit_million.three_witnesses),
    (validate_million.FIGURES, validate_million.validated),
]
_OUTPUT = Path("build/bench/results.json")


def main(arguments: list[str]) -> int:
    """Run what is asked for; exit 2 for an unknown name."""
    if arguments[:1] == ["--one"]:
        sys.stdout.write(msgspec.json.encode(BENCHMARKS[int(arguments[1])][1]()).decode())
        return 0
    wanted = {name for word in arguments for name in word.split(",") if name}
    known = {name for names, _ in BENCHMARKS for name in names}
    if wanted - known:
        sys.stderr.write(f"no benchmark gives {sorted(wanted - known)}; known: {sorted(known)}\n")
        return 2
    results: list[Result] = []
    for number, (names, _) in enumerate(BENCHMARKS):
        if wanted and not wanted & set(names):
            continue
        sys.stderr.write(f"measuring {', '.join(names)}\n")
        finished = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks", "--one", str(number)],
            stdout=subprocess.PIPE,
            check=True,
        )
        results += msgspec.json.decode(finished.stdout, type=list[Result])
    _show(results)
    _OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    _OUTPUT.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
    return 0


def _show(results: list[Result]) -> None:
    table = Table("figure", "value", "unit", "limit", "ratio", "MB", box=None, pad_edge=False)
    for one in results:
        limit = f"{one.limit:,.0f}" if one.limit else "-"
        ratio = f"{one.ratio:.2f}" if one.ratio else "-"
        table.add_row(one.name, f"{one.value:,.1f}", one.unit, limit, ratio, f"{one.rss_mb:.0f}")
    console = Console()
    console.print(table)
    for one in results:
        console.print(f"{one.name}: {one.note}", highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
