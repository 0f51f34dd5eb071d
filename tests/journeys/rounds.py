"""Reads moved to PostgreSQL and back by commands, some with a process killed -9 at a moment."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import psycopg

from projector.migration.phases import PHASES
from projector.migration.record import newest
from projector.route import read_route
from tests.journeys.begun import Begun
from tests.journeys.crew import Crew

Victim: TypeAlias = Literal["relay", "projector", "orchestrator"]
NAMES = tuple(phase.name for phase in PHASES)
FENCES = ("cutover", "switch_back")
BETWEEN = "reads in PostgreSQL"
MOMENTS = (*NAMES, *FENCES, BETWEEN)
_ATTEMPTS = 5
_COMMAND_S = 600.0
_NOTHING_TO_SWITCH = 2


@dataclass
class Harm:
    """Whom to kill, and when: in or behind a phase, within a fence, or between the switches."""

    victim: Victim
    moment: str
    done: bool = False


@dataclass
class Round:
    """One way there and back."""

    harm: Harm | None
    there: int = 0
    """How many runs of `migrate` it took."""
    back: int = 0
    findings: list[str] = field(default_factory=list)


class Rounds:
    """Plays rounds on a crew at work; `conn` is in autocommit."""

    def __init__(self, crew: Crew, conn: psycopg.Connection[Any]) -> None:
        self._crew = crew
        self._conn = conn
        self._projection = crew.settings.projection

    def play(self, harm: Harm | None, between: Callable[[], None]) -> Round:
        """Go there, do something, go back."""
        this = Round(harm)
        this.there = self._go(this, ("migrate", "--zero-downtime"), "postgres")
        if not self._arrived("postgres"):
            return this
        if harm is not None and harm.moment == BETWEEN and harm.victim != "orchestrator":
            self._kill(harm, None)
        between()
        this.back = self._go(this, ("switch-back",), "memory")
        return this

    def _go(self, this: Round, words: Sequence[str], route: str) -> int:
        """Run a command until reads are where they should be; once is enough but for a kill."""
        for attempt in range(1, _ATTEMPTS + 1):
            begun = self._crew.begin(*words)
            harmed = self._watch(begun, this.harm)
            code, found = begun.result()
            arrived = self._arrived(route)
            if code and not (harmed or self._excused(this.harm, code, arrived=arrived)):
                why = found["reason"] if found else "see commands.log"
                this.findings.append(f"{words[0]} ended with {code}: {why}")
            if arrived:
                return attempt
        this.findings.append(f"reads are not in {route} after {_ATTEMPTS} runs of {words[0]}")
        return _ATTEMPTS

    def _excused(self, harm: Harm | None, code: int, *, arrived: bool) -> bool:
        """Say whether a kill explains that a run undid its work, or found nothing left to do."""
        if harm is None or not harm.done:
            return False
        return code == 1 or (code == _NOTHING_TO_SWITCH and arrived)

    def _arrived(self, route: str) -> bool:
        found = newest(self._conn, self._projection)
        running = found is not None and found.state == "running"
        return read_route(self._conn, self._projection).route == route and not running

    def _watch(self, begun: Begun, harm: Harm | None) -> bool:
        """Return once a command has ended; say whether somebody was killed meanwhile."""
        if harm is None or harm.done or harm.moment == BETWEEN:
            self._until_ended(begun)
            return False
        self._crew.wait(lambda: begun.ended or self._has_come(harm.moment), harm.moment, _COMMAND_S)
        if begun.ended:
            return False
        self._kill(harm, begun)
        self._until_ended(begun)
        return True

    def _until_ended(self, begun: Begun) -> None:
        self._crew.wait(lambda: begun.ended, "a command has ended", _COMMAND_S)

    def _kill(self, harm: Harm, begun: Begun | None) -> None:
        harm.done = True
        if harm.victim == "orchestrator":
            assert begun is not None
            begun.kill()
            return
        process = self._crew.relay if harm.victim == "relay" else self._crew.projector
        process.kill()
        process.start()

    def _has_come(self, moment: str) -> bool:
        if moment in FENCES:
            row = self._conn.execute(
                "SELECT FROM memferry.fence "
                "WHERE projection = %s AND purpose = %s AND state = 'asked'",
                (self._projection, moment),
            ).fetchone()
            return row is not None
        found = newest(self._conn, self._projection)
        if found is None or found.state != "running":
            return False
        return NAMES.index(found.phase) >= NAMES.index(moment)
