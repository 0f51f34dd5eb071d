"""A campaign: many rounds of migrate and switch back under load, with kills that a seed decides.

python -m tests.journeys.switches COUNT SEED      exit 0 clean, 1 findings
"""

import math
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from compose.stack import Endpoints, ephemeral_stack
from schemas.settings import Kafka, Outbox, Postgres, Settings
from tests.fences import decided_fences
from tests.journeys.crew import Crew
from tests.journeys.rounds import BETWEEN, FENCES, MOMENTS, Harm, Round, Rounds, Victim
from tests.journeys.traffic import Traffic

ROUNDS_A_LEG = 2
"""Then app and log begin anew: each round reads the whole log three times."""
HARMED_OF_TEN = 5
BARS_PER_S = "180"  # about 1,000 mutations
ENOUGH_READS = 3
VICTIMS: tuple[Victim, ...] = ("relay", "projector", "orchestrator")


@dataclass
class Leg:
    """Rounds of one app, and what everybody saw."""

    rounds: list[Round]
    pauses_ms: dict[str, list[float]]
    longest_ms: float
    mutations_per_s: float
    orders: int
    reads: int
    client_errors: int
    findings: list[str]
    verdict: str


def main(arguments: Sequence[str]) -> int:
    """Play so many rounds; print what came of them."""
    count, seed = (int(word) for word in arguments)
    draw = random.Random(seed)
    harms = [_harm(draw) for _ in range(count)]
    legs = []
    with ephemeral_stack() as stack:
        endpoints = stack.endpoints()
        assert endpoints is not None
        for first in range(0, count, ROUNDS_A_LEG):
            with tempfile.TemporaryDirectory() as directory:
                leg = _play(endpoints, Path(directory), harms[first : first + ROUNDS_A_LEG])
            legs.append(leg)
            sys.stderr.write(f"{first + len(leg.rounds)} of {count} rounds: {leg.verdict}\n")
            for finding in leg.findings:
                sys.stderr.write(f"  {finding}\n")
    _show(legs)
    return 1 if any(leg.findings for leg in legs) else 0


def _harm(draw: random.Random) -> Harm | None:
    wanted, victim, moment = draw.randrange(10), draw.choice(VICTIMS), draw.choice(MOMENTS)
    if wanted >= HARMED_OF_TEN:
        return None
    if victim == "orchestrator" and moment == BETWEEN:  # there is none then
        moment = "switch_back"
    return Harm(victim, moment)


def _play(endpoints: Endpoints, directory: Path, harms: Sequence[Harm | None]) -> Leg:
    name = f"switches{secrets.token_hex(4)}"
    settings = Settings(
        source="paper-1",
        topic=name,
        domain="schemas.trading",
        projection=name,
        kafka=Kafka(bootstrap=endpoints.kafka),
        postgres=Postgres(dsn=endpoints.postgres),
        outbox=Outbox(path=f"{name}.db"),
        directory=str(directory),
    )
    crew = Crew(settings, directory, "--history", "500", "--laps", "0", "--speed", BARS_PER_S)
    try:
        crew.start()
        with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
            return _trade(crew, conn, harms)
    finally:
        crew.end()


def _trade(crew: Crew, conn: psycopg.Connection[object], harms: Sequence[Harm | None]) -> Leg:
    rounds, played = Rounds(crew, conn), []
    with Traffic(crew.url) as traffic:
        began, before = time.monotonic(), crew.recorded()
        for harm in harms:

            def read_tables() -> None:
                enough = traffic.fewest("postgres") + ENOUGH_READS
                crew.wait(
                    lambda: traffic.errors or traffic.fewest("postgres") >= enough,
                    "reads from the tables",
                )

            played.append(rounds.play(harm, read_tables))
        rate = (crew.recorded() - before) / (time.monotonic() - began)
    crew.ask("POST", "/pause")
    crew.wait(lambda: crew.applied() == crew.in_lanes(), "everything is applied")
    audit = crew.command("audit")
    verdict = crew.settle()
    findings = [f"a client saw: {error}" for error in traffic.errors]
    findings += [finding for each in played for finding in each.findings]
    findings += [] if audit["all_equal"] else [f"audit: {audit['findings'][:3]}"]
    findings += [] if verdict.clean else [str(verdict)]
    fences = decided_fences(crew.settings)
    return Leg(
        played,
        {p: [traffic.longest_ms(f) for f in fences if f.purpose == p] for p in FENCES},
        traffic.longest_of_all_ms(),
        rate,
        traffic.orders,
        sum(traffic.reads.values()),
        len(traffic.errors),
        findings,
        str(verdict).splitlines()[0],
    )


def _show(legs: Sequence[Leg]) -> None:
    console = Console(width=110, highlight=False)
    table = Table("round", "killed -9", "runs there", "runs back", "findings", box=None)
    for number, each in enumerate((each for leg in legs for each in leg.rounds), 1):
        table.add_row(
            str(number), _killed(each.harm), str(each.there), str(each.back),
            str(len(each.findings) or "-"),
        )  # fmt: skip
    console.print(table)
    pauses = Table("pause, orders' own clock", "switches", "p50 ms", "p99 ms", "max ms", box=None)
    for purpose in FENCES:
        found = sorted(ms for leg in legs for ms in leg.pauses_ms[purpose])
        if found:
            ranks = [found[math.ceil(share * len(found)) - 1] for share in (0.5, 0.99, 1)]
            pauses.add_row(purpose, str(len(found)), *(f"{ms:.0f}" for ms in ranks))
    console.print(pauses)
    rates = ", ".join(f"{leg.mutations_per_s:,.0f}" for leg in legs)
    killed = sum(each.harm is not None and each.harm.done for leg in legs for each in leg.rounds)
    console.print(
        f"{sum(len(leg.rounds) for leg in legs)} rounds, {killed} with a kill; "
        f"{rates} mutations/s; "
        f"{sum(leg.orders for leg in legs):,} orders acknowledged, "
        f"{sum(leg.reads for leg in legs):,} reads; "
        f"{sum(leg.client_errors for leg in legs)} errors seen by clients; "
        f"longest wait of all {max(leg.longest_ms for leg in legs):,.0f} ms"
    )
    console.print("checker: " + ", ".join(leg.verdict for leg in legs))
    findings = sum(len(leg.findings) for leg in legs)
    console.print(f"verdict: {f'{findings} findings' if findings else 'clean'}")


def _killed(harm: Harm | None) -> str:
    if harm is None:
        return "-"
    return f"{harm.victim}, {harm.moment}" + ("" if harm.done else " (not reached)")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
