"""Audits of an app under load while things happen to it that are no tampering."""

import random
import secrets
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from compose.demo.processes import Process
from compose.stack import Endpoints
from projector.audit.result import AuditResult
from projector.audit.run import audit
from projector.control_tables import connect, read_projection
from projector.declared import whole_domain
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.settings import Settings
from schemas.trading import DOMAIN
from tests.benchmarks.workload import settings_for
from tests.journeys.begun import Begun
from tests.journeys.crew import Crew
from tests.journeys.tampering.cases import sentence
from tests.journeys.ways_back import WaysBack

Event: TypeAlias = Literal[
    "nothing",
    "kill relay",
    "kill projector",
    "savepoint",
    "look back",
    "look back at once",
    "final",
    "void streams",
    "unvoid",
]
"""`look back`: the tables are on their way before the audit begins; all behind it may be meanwhile.
Looking back goes forward again where the tables hold."""
_PARTITIONS = 3
_TIMEOUT_S = 30.0
_FIRST_EVENTS = 500


class Audit(msgspec.Struct, frozen=True):
    """One audit: what had just happened, the tables' state, how long it took, what it said."""

    number: int
    happened: str
    state: str
    seconds: float
    events: int
    alarm: str
    """What it found; empty where it found nothing."""
    failed: str = ""
    """Why there is no result: the tables were taken from under it."""


class BusyCrew(Crew):
    """A crew whose app records so many events a second."""

    def __init__(self, settings: Settings, directory: Path, events_per_s: int, seed: int) -> None:
        super().__init__(settings, directory)
        command = (
            sys.executable, "-m", "tests.journeys.busy_app", str(directory / "memferry.toml"),
            str(directory / "ready.json"), str(events_per_s), str(seed),
        )  # fmt: skip
        self.app = Process("app", command, directory / "app.log", self.environment)


class Quiet:
    """An app, its relay and projector, and audits one after another; `close` it."""

    def __init__(
        self, endpoints: Endpoints, directory: Path, draw: random.Random, events_per_s: int
    ) -> None:
        name = f"t{secrets.token_hex(5)}"
        plain = settings_for(name, endpoints.kafka, endpoints.postgres, str(directory), _PARTITIONS)
        self.crew = BusyCrew(plain, directory, events_per_s, draw.randrange(1 << 30))
        self._settings = plain
        self._draw = draw
        self._conn = connect(plain, "test")
        self._ways = WaysBack(self._conn, plain, draw)
        self._domain: Domain | None = None
        self._under_way: Begun | None = None
        self._codes: Collection[int] = ()
        """With which it may end."""
        self._savepoint = ""
        self._held = False

    async def start(self) -> None:
        """Start all, and have a savepoint to look back to."""
        self.crew.start()
        self.crew.wait(lambda: self.crew.applied() >= _FIRST_EVENTS, "the first events")
        self._domain = await whole_domain(self._settings, DOMAIN)
        self._take_savepoint(0)

    async def audit(self, number: int, event: Event) -> Audit:
        """Let something happen, and audit meanwhile."""
        happened = self._happen(number, event)
        assert self._domain is not None
        began = time.monotonic()
        try:
            result = await audit(self._settings, self._domain, timeout_s=_TIMEOUT_S)
        except FerryError as error:
            took_s = time.monotonic() - began
            return Audit(number, happened, "", took_s, 0, "", failed=str(error))
        took_s = time.monotonic() - began
        alarm = "" if result.all_equal else _alarm(result)
        return Audit(number, happened, result.state, took_s, result.events, alarm)

    def close(self) -> None:
        """End all processes."""
        if self._under_way is not None and not self._under_way.ended:
            self._under_way.kill()
        self._conn.close()
        self.crew.end()

    def _happen(self, number: int, event: Event) -> str:
        self._settle()
        if event == "kill relay":
            self.crew.relay.kill()
            self.crew.relay.start()
        elif event == "kill projector":
            self.crew.projector.kill()
            self.crew.projector.start()
        elif event == "savepoint" and self._at_rest:
            self._take_savepoint(number)
        elif event in {"look back", "look back at once"} and self._under_way is None:
            return self._look_back(at_once=event == "look back at once")
        elif event in {"final", "void streams", "unvoid"} and self._at_rest:
            return self._void(event)
        return event

    @property
    def _at_rest(self) -> bool:
        return self._under_way is None and not self._held

    def _settle(self) -> None:
        if self._under_way is not None and self._under_way.ended:
            code, said = self._under_way.result()
            assert code in self._codes, said
            self._under_way = None

    def _take_savepoint(self, number: int) -> None:
        self._savepoint = f"s{number}"
        self.crew.command("savepoint", "take", self._savepoint)

    def _look_back(self, *, at_once: bool) -> str:
        """Go back, or forward again, in a process of its own: audits go on meanwhile."""
        self._held = not self._held
        back = ("rollback", "--yes", "--to-savepoint", self._savepoint)
        words = back if self._held else ("resume",)
        self._begin(words, {0, 1})
        if not at_once:
            self.crew.wait(lambda: (self._state() == "live") is not self._held, words[0])
        return words[0]

    def _void(self, event: Event) -> str:
        """Take events out of what counts, or have them count again."""
        words: dict[Event, Callable[[], Sequence[str]]] = {
            "final": self._ways.final,
            "void streams": self._ways.void_streams,
            "unvoid": self._ways.unvoid,
        }
        self._begin(words[event](), {0, 1, 2})
        return event

    def _begin(self, words: Sequence[str], codes: Collection[int]) -> None:
        self._codes = codes
        self._under_way = self.crew.begin(*words)

    def _state(self) -> str:
        return read_projection(self._conn, self._settings.projection).state


def _alarm(result: AuditResult) -> str:
    lines = [sentence(finding) for finding in result.findings]
    lines += [f"parked: {stream.stream}: {stream.reason}" for stream in result.parked]
    unequal: Mapping[str, bool] = result.equal
    lines += [f"not equal: {table}" for table, equal in unequal.items() if not equal]
    return "\n".join(lines or ["not clean, and nothing is named"])
