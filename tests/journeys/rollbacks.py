"""A campaign: random moves back and forth under load, every fifth killed -9 at a random moment.

python -m tests.journeys.rollbacks COUNT SEED      exit 0 none wrong, 1 with the first that is
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from compose.stack import Endpoints, ephemeral_stack
from tests.journeys.going_back import GoingBack, Gone, Move

MOVES_A_LEG = 50
"""Then app and log begin anew, for all that is recorded stays in memory."""
EVENTS_PER_S = 300
_KILLED_OF = 5
_WEIGHTS: dict[Move, int] = {
    "look back": 25, "look back in place": 10, "final": 25, "void streams": 10, "unvoid": 8,
    "undo swap": 7, "replay": 10, "savepoint": 5,
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Move so many times; print what came of it."""
    count, seed = int(arguments[0]), int(arguments[1])
    gone: list[Gone] = []
    broken: list[str] = []
    began = time.monotonic()
    with ephemeral_stack() as stack:
        endpoints = stack.endpoints()
        assert endpoints is not None
        for leg, first in enumerate(range(0, count, MOVES_A_LEG)):
            draw = random.Random(f"{seed} {leg}")
            with tempfile.TemporaryDirectory() as directory:
                broken += asyncio.run(
                    _leg(endpoints, Path(directory), draw, min(MOVES_A_LEG, count - first), gone)
                )
            sys.stderr.write(f"{len(gone)} of {count} moves\n")
            if broken:
                break
    _show(gone, broken, seed, time.monotonic() - began)
    return 1 if broken else 0


async def _leg(
    endpoints: Endpoints, directory: Path, draw: random.Random, count: int, gone: list[Gone]
) -> list[str]:
    back = GoingBack(endpoints, directory, draw, EVENTS_PER_S)
    try:
        await back.start()
        for _ in range(count):
            (move,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
            one = await back.go(len(gone), move, kill=draw.randrange(_KILLED_OF) == 0)
            gone.append(one)
            sys.stderr.write(f"{one.number} {one.move} {one.outcome} {one.seconds:.1f} s\n")
            sys.stderr.write(f"  {one.said}\n" if one.said else "")
            if one.findings:
                return one.findings
        return await back.whole_log()
    finally:
        back.close()


def _show(gone: Sequence[Gone], broken: Sequence[str], seed: int, took_s: float) -> None:
    out = sys.stdout.write
    moves, killed = Counter(one.move for one in gone), Counter(
        one.move for one in gone if one.killed_after_s is not None
    )  # fmt: skip
    outcomes = Counter(one.outcome for one in gone)
    out(f"{len(gone):,} moves in {took_s:,.0f} s under {EVENTS_PER_S:,} events/s (seed {seed})\n")
    out(f"what was wrong      {len(broken)}\n")
    out(f"killed -9           {sum(killed.values())}\n")
    out(f"ended               {_counts(outcomes)}\n")
    for move, number in sorted(moves.items()):
        times = sorted(one.seconds for one in gone if one.move == move and one.code == 0)
        middle = f"p50 {times[len(times) // 2]:.1f} s" if times else "none ended by itself"
        out(f"{move:<20}{number:>4}, killed {killed[move]:>3}, {middle}\n")
    for line in broken[:5]:
        out(f"wrong: {line}\n")


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
