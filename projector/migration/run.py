"""One run through the phases: forward while gates are open, back where one is closed.

A run that dies leaves the migration running in its phase; the next one takes it over there. Where
Kafka or PostgreSQL is away nothing can be undone either, so it is left in the same way.
"""

import logging

import psycopg
from aiokafka.errors import KafkaError

from projector.control_tables import DatabaseUnreachable
from projector.log import BrokerUnreachable
from projector.migration.context import Context
from projector.migration.ledger import MigrationTakenOver
from projector.migration.phase import GateClosed, Phase
from projector.migration.phases import PHASES
from schemas.errors import FerryError

HELD = frozenset(
    {
        "EXTRACTING_SNAPSHOT", "INITIAL_MIGRATION", "SYNC_SETUP", "INCREMENTAL_SYNC", "VALIDATION",
        "CUTOVER_PREPARATION", "CUTOVER",
    }
)  # fmt: skip
"""Phases in which stop and copy holds writes."""
_AWAY = (psycopg.OperationalError, KafkaError, OSError, DatabaseUnreachable, BrokerUnreachable)
log = logging.getLogger("memferry.migration")


async def run_phases(run: Context, first: str) -> FerryError | None:
    """Go through the phases from `first`; return what closed a gate, None where all were open.

    Raises: MigrationTakenOver, and what says that Kafka or PostgreSQL is away: the migration stays
            as it is for the next run.
    """
    phases = [phase() for phase in PHASES]
    names = [phase.name for phase in phases]
    start = names.index(first)
    for number, phase in enumerate(phases[start:], start):
        run.effects.enter(phase.name)
        run.begin(phase.name, number + 1, len(phases))
        try:
            if run.mode == "stop_and_copy" and phase.name in HELD:
                await run.effects.hold(run.found.sources)
            if number == start > 0:
                await phases[0].enter(run)  # what was so when the killed run began may have changed
            await phase.enter(run)
            await phase.work(run)
            detail = await phase.gate(run)
        except (MigrationTakenOver, *_AWAY):
            raise
        except FerryError as error:
            run.effects.leave("closed" if isinstance(error, GateClosed) else "failed", error.what)
            await _undo(run, phases[: number + 1])
            return error
        run.effects.leave("passed", detail)
    return None


async def _undo(run: Context, phases: list[Phase]) -> None:
    """Take back what must not stay, the last first."""
    for phase in reversed(phases):
        await phase.undo(run)
    await run.effects.release()
