"""All five kinds from memory to equal tables, through nine kills with -9, told by the checker."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.checker import check
from tests.journeys.crew import Crew, Killer

TABLES = {
    "market_bars", "strategies", "trades", "strategy_executions", "portfolio_snapshots",
    "portfolio_positions",
}  # fmt: skip


def test_nothing_is_lost_doubled_or_altered_through_kills_of_app_relay_and_projector(
    make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    settings = make_settings(source="paper-1", domain="schemas.trading")
    crew = Crew(settings, tmp_path, "--history", "3000", "--laps", "1", "--speed", "2500")
    killers = [
        Killer(crew.app, crew.recorded, (600, 12_000, 30_000)),  # the first within the snapshot
        Killer(crew.relay, crew.relayed, (1, 9_000, 25_000)),
        Killer(crew.projector, crew.applied, (1, 8_000, 22_000)),
    ]
    try:
        crew.app.start()
        crew.wait(settings.outbox_path.exists, "the outbox is made")
        crew.relay.start()
        crew.wait(lambda: crew.relayed() > 0, "the topic is there")
        crew.projector.start()

        def all_killed_and_traded() -> bool:
            for killer in killers:
                killer.look()
            return all(killer.done for killer in killers) and crew.tape_ended()

        crew.wait(all_killed_and_traded, "the tape ended")
        crew.wait(lambda: crew.applied() == crew.in_lanes(), "everything is applied")
        audit = crew.command("audit")

        assert audit["all_equal"], audit["findings"]
        assert set(audit["equal"]) == TABLES
        assert all(audit["memory_rows"][table] > 0 for table in TABLES)
    finally:
        crew.end()
    crew.relay.start()
    try:
        crew.wait(lambda: crew.relayed() >= crew.recorded(), "the last events are relayed")
    finally:
        crew.relay.end()
    crew.command("replay", "--to-end")
    verdict = asyncio.run(
        check(
            journal=crew.journal,
            bootstrap=settings.kafka.bootstrap,
            topic=kafka_topic(settings.topic, 1),
            dsn=settings.postgres.dsn,
            schema=settings.projection,
        )
    )

    assert verdict.clean, str(verdict)
    assert verdict.counts.acknowledged > 30_000
    assert verdict.counts.snapshots > 3_000
    assert set(verdict.counts.rows) == TABLES
    assert [len(killer.killed_at) for killer in killers] == [3, 3, 3]
