"""A campaign: six ways of tampering in four places, at seeded positions; what the audit says of it.

python -m tests.journeys.audit_power COUNT SEED [PLACE,...]      exit 0 all found, 1 missed
"""

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from textwrap import shorten

from compose.stack import ephemeral_stack
from tests.journeys.tampering.campaign import Campaign
from tests.journeys.tampering.cases import KINDS, PLACES, Judged
from tests.journeys.tampering.kafka import FalseAlarm

_WIDTH = 80
_EVENTS = 1_500
_MISSES_SHOWN = 40
LEGEND = """\
tried: positions; found: an audit had a finding; located: the findings name every
row, key or event that was touched (kafka, outbox: lane and seq, or the next one)
"""
_PROGRESS = 50


class Tally:
    """What came of every case so far."""

    def __init__(self) -> None:
        self.judged: list[Judged] = []

    def hear(self, one: Judged) -> None:
        """Note one case, and tell now and then how far it is."""
        self.judged.append(one)
        if not one.located:
            sys.stderr.write(f"missed: {one.case}: {one.did}\n")
        if len(self.judged) % _PROGRESS == 0:
            sys.stderr.write(f"{len(self.judged):,} tried, {len(self.missed)} missed\n")

    @property
    def missed(self) -> list[Judged]:
        """Cases that were not found, or whose place was not named."""
        return [one for one in self.judged if not one.located]

    def table(self, places: Collection[str]) -> str:
        """Return the results, place by kind, with an example of each."""
        lines = [f"{'PLACE':<10}{'KIND':<12}{'tried':>7}{'found':>7}{'located':>9}"]
        for place in PLACES:
            for kind in KINDS:
                cell = [j for j in self.judged if (j.case.place, j.case.kind) == (place, kind)]
                if not cell or place not in places:
                    continue
                found, located = sum(j.found for j in cell), sum(j.located for j in cell)
                lines.append(f"{place:<10}{kind:<12}{len(cell):>7}{found:>7}{located:>9}")
                lines += [f"  {_line(cell[0].did)}", f"  > {_line(cell[0].said)}"]
        return "\n".join(lines)


def _line(text: str) -> str:
    return shorten(text, _WIDTH - 4, placeholder=" …")


def main(arguments: Sequence[str]) -> int:
    """Try so many positions of each; print what was said."""
    count, seed = int(arguments[0]), int(arguments[1])
    places = arguments[2].split(",") if len(arguments) > 2 else PLACES
    tally, alarm, began = Tally(), "", time.monotonic()
    with ephemeral_stack() as stack, tempfile.TemporaryDirectory() as directory:
        endpoints = stack.endpoints()
        assert endpoints is not None
        campaign = Campaign(endpoints, Path(directory), f"t{secrets.token_hex(5)}", _EVENTS)
        try:
            asyncio.run(campaign.run(count, seed, places, tally.hear))
        except FalseAlarm as false:
            alarm = str(false)
        finally:
            campaign.close()
    out = sys.stdout.write
    out(f"{tally.table(places)}\n\n{LEGEND}\n")
    for one in tally.missed[:_MISSES_SHOWN]:
        out(f"missed: {one.case}\n  {one.did}\n  > {one.said}\n")
    if alarm:
        out(f"false alarm, nobody had tampered there: {alarm}\n")
    out(
        f"{len(tally.judged):,} tried in {time.monotonic() - began:,.0f} s (seed {seed}): "
        f"{len(tally.missed):,} missed\n"
    )
    return 1 if tally.missed or alarm else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
