"""An app under load whose tables, and whose memory, go back and forth; some runs are killed -9."""

import random
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec
import psycopg

from compose.stack import Endpoints
from projector.audit.run import audit
from projector.control_tables import connect, read_projection
from projector.declared import whole_domain
from projector.replay.beside import beside_of
from projector.replay.look_back import resume
from projector.replay.runs import newest_run
from schemas.domain import Domain
from schemas.trading import DOMAIN
from tests.benchmarks.workload import settings_for
from tests.journeys.quiet_audits import BusyCrew
from tests.journeys.ways_back import WaysBack

Move: TypeAlias = Literal[
    "look back",
    "look back in place",
    "final",
    "void streams",
    "unvoid",
    "undo swap",
    "replay",
    "savepoint",
]
_PARTITIONS = 3
_TIMEOUT_S = 60.0
_FIRST_EVENTS = 500
_KILL_S = 4.0
_LOOK_S = 0.05


class Gone(msgspec.Struct, frozen=True):
    """One move: what it was, how it was ended, and what was wrong behind it."""

    number: int
    move: Move
    killed_after_s: float | None
    code: int | None
    outcome: str
    """`finished`, `undone` or `refused`, as the database says behind it."""
    seconds: float
    said: str = ""
    """Why it was refused."""
    findings: list[str] = []


class GoingBack:
    """An app, its relay and its projector, and moves one after another; `close` it."""

    def __init__(
        self, endpoints: Endpoints, directory: Path, draw: random.Random, events_per_s: int
    ) -> None:
        name = f"t{secrets.token_hex(5)}"
        self._settings = settings_for(
            name, endpoints.kafka, endpoints.postgres, str(directory), _PARTITIONS
        )
        self.crew = BusyCrew(self._settings, directory, events_per_s, draw.randrange(1 << 30))
        self._draw = draw
        self._directory = directory
        self._domain: Domain | None = None
        self._name = self._settings.projection
        self.conn: psycopg.Connection[Any] = connect(self._settings, "going back")
        self._ways = WaysBack(self.conn, self._settings, draw)

    async def start(self) -> None:
        """Start all."""
        self.crew.start()
        self.crew.wait(lambda: self.crew.applied() >= _FIRST_EVENTS, "the first events")
        self._domain = await whole_domain(self._settings, DOMAIN)

    async def go(self, number: int, move: Move, *, kill: bool) -> Gone:
        """Make one move, perhaps killed; then bring all to rest, and audit."""
        words = self._words(number, move)
        began = time.monotonic()
        begun = self.crew.begin(*words)
        after_s = self._draw.uniform(0.3, _KILL_S) if kill else None
        if after_s is not None:
            self._wait_for(lambda: begun.ended, after_s)
            if not begun.ended:
                begun.kill()
            else:
                after_s = None
        code, said = (None, "") if after_s is not None else (begun.result()[0], "")
        seconds = time.monotonic() - began
        if after_s is not None:
            self.crew.command("replay", "--to-end")  # finishes or undoes what was cut short
        findings = await self._at_rest(number)
        run = newest_run(self.conn, self._name)
        outcome = run.state if run is not None else "refused"
        if code not in {None, 0, 1}:
            outcome = "refused"
            refused = (self._directory / "commands.log").read_text(encoding="utf-8")
            said = refused[refused.rfind("error ") :].strip()
        if outcome == "running":
            findings.append(f"a run is still running: {run}")
        return Gone(number, move, after_s, code, outcome, seconds, said, findings)

    async def whole_log(self) -> list[str]:
        """Return what is wrong with the log as a whole, read from its beginning."""
        assert self._domain is not None
        result = await audit(self._settings, self._domain, full=True, timeout_s=_TIMEOUT_S)
        return [str(finding) for finding in result.findings]

    def close(self) -> None:
        """End all processes."""
        self.conn.close()
        self.crew.end()

    def _words(self, number: int, move: Move) -> Sequence[str]:
        words: dict[Move, Callable[[], Sequence[str]]] = {
            "look back": self._ways.look_back,
            "look back in place": lambda: self._ways.look_back("--in-place"),
            "final": self._ways.final,
            "void streams": self._ways.void_streams,
            "unvoid": self._ways.unvoid,
            "undo swap": lambda: ("swap", "undo"),
            "savepoint": lambda: ("savepoint", "take", f"s{number}", "--keep-tables"),
            "replay": lambda: ("replay", "--to-end"),
        }
        return words[move]()

    async def _at_rest(self, number: int) -> list[str]:
        """Audit as it is, go forward where the tables hold, and audit again."""
        findings = []
        with closing(connect(self._settings, "test")) as conn:
            state = read_projection(conn, self._name).state
        if state == "held":
            findings += await self._audited(f"{number}, held")
            assert self._domain is not None
            resumed = await resume(self._settings, self._domain, _TIMEOUT_S)
            if not resumed.caught_up:
                findings.append("the tables did not catch up")
        findings += await self._audited(f"{number}, live")
        if number % 10 == 0:
            self.crew.command("swap", "release")
        left = [one.name for one in beside_of(self.conn, self._name, "shadow")]
        if left:
            findings.append(f"shadows are left: {left}")
        return findings

    async def _audited(self, when: str) -> list[str]:
        assert self._domain is not None
        result = await audit(self._settings, self._domain, timeout_s=_TIMEOUT_S)
        found = [f"{when}: {finding}" for finding in result.findings]
        found += [f"{when}: parked {one.stream}: {one.reason}" for one in result.parked]
        if not result.all_equal and not found:
            found.append(f"{when}: not equal")
        return found

    def _wait_for(self, condition: Any, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition() and time.monotonic() < deadline:
            threading.Event().wait(_LOOK_S)
