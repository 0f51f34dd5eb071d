"""Reads move to PostgreSQL and back, twice, while the app trades, serves and loses its helpers."""

from collections.abc import Callable
from pathlib import Path

import psycopg

from schemas.settings import Settings
from tests.fences import decided_fences
from tests.journeys.crew import Crew
from tests.journeys.rounds import BETWEEN, Harm, Rounds
from tests.journeys.traffic import Traffic

BARS_PER_S = "120"  # about 700 mutations; a month of bars each second
ENOUGH_READS = 2


def test_clients_see_no_error_while_reads_move_and_relay_and_projector_are_killed(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(source="paper-1", domain="schemas.trading")
    crew = Crew(settings, tmp_path, "--history", "200", "--laps", "0", "--speed", BARS_PER_S)
    try:
        crew.start()
        with (
            psycopg.connect(settings.postgres.dsn, autocommit=True) as conn,
            Traffic(crew.url) as traffic,
        ):
            rounds = Rounds(crew, conn)

            def read_tables() -> None:
                enough = traffic.fewest("postgres") + ENOUGH_READS
                crew.wait(
                    lambda: traffic.errors or traffic.fewest("postgres") >= enough,
                    "reads from the tables",
                )

            played = [
                rounds.play(Harm("relay", BETWEEN), read_tables),
                rounds.play(Harm("projector", BETWEEN), read_tables),
            ]
        crew.ask("POST", "/pause")
        crew.wait(lambda: crew.applied() == crew.in_lanes(), "everything is applied")
        audit = crew.command("audit")
        verdict = crew.settle()
    finally:
        crew.end()

    assert traffic.errors == []
    assert [(r.there, r.back, r.findings) for r in played] == [(1, 1, [])] * 2
    assert all(r.harm is not None and r.harm.done for r in played)
    assert traffic.reads["memory"] > 0
    assert traffic.orders > 0
    purposes = [fence.purpose for fence in decided_fences(settings)]
    assert purposes == ["cutover", "switch_back"] * 2
    assert audit["all_equal"], audit["findings"]
    assert verdict.clean, str(verdict)
    assert verdict.counts.acknowledged > 5_000
