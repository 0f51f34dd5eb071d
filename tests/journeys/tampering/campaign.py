"""All cases of a campaign on the real stack, place by place, with clean audits between."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Protocol

import psycopg

from compose.stack import Endpoints
from projector.audit.compare import Finding
from schemas.errors import FerryError
from schemas.trading import DOMAIN
from tests.benchmarks.workload import settings_for
from tests.journeys.tampering.cases import KINDS, Case, Judged, cases, sentence
from tests.journeys.tampering.kafka import AT_ONCE, FalseAlarm, KafkaPlace
from tests.journeys.tampering.memory import MemoryPlace
from tests.journeys.tampering.outbox import OutboxPlace
from tests.journeys.tampering.postgres import PostgresPlace
from tests.journeys.tampering.trader import Trader
from tests.projector.broker import Broker
from tests.projector.projecting import project

_PARTITIONS = 3
_CLEAN_EVERY = 25
Say = Callable[[Judged], None]


class Place(Protocol):
    """A place that is tampered with one case at a time."""

    async def judge(self, case: Case) -> Judged:
        """Tamper, audit, put everything back."""

    async def audit(self) -> list[Finding]:
        """Audit what nobody tampered with."""


class Campaign:
    """Everything that the four places need, set up when it is first asked for; `close` it."""

    def __init__(self, endpoints: Endpoints, directory: Path, name: str, events: int) -> None:
        self._directory = directory
        self._events = events
        self._open = ExitStack()
        self._settings = settings_for(
            name, endpoints.kafka, endpoints.postgres, str(directory), _PARTITIONS
        )

    async def run(self, count: int, seed: int, places: Collection[str], say: Say) -> None:
        """Try `count` positions of each kind in each place; raises FalseAlarm."""
        if "kafka" in places:
            await self._in_kafka(count, seed, say)
        if set(places) == {"kafka"}:
            return
        app = Trader(self._settings, self._events)
        self._open.callback(app.close)
        app.newest.replicated(30)
        await project(self._settings, domain=DOMAIN)
        makers: dict[str, Callable[[], Place]] = {
            "outbox": lambda: self._open.enter_context(closing(OutboxPlace(app))),
            "postgres": lambda: PostgresPlace(self._settings, self._connection()),
            "memory": lambda: MemoryPlace(app),
        }
        for name, make in makers.items():
            if name in places:
                await _one_by_one(make(), cases(name, KINDS, count, seed), say)

    def close(self) -> None:
        """End the app, give everything back."""
        self._open.close()

    def _connection(self) -> psycopg.Connection[object]:
        dsn = self._settings.postgres.dsn
        return self._open.enter_context(psycopg.connect(dsn, autocommit=True))

    async def _in_kafka(self, count: int, seed: int, say: Say) -> None:
        broker = self._open.enter_context(closing(Broker(self._settings.kafka.bootstrap)))
        place = KafkaPlace(self._settings, broker, self._directory)
        todo = cases("kafka", KINDS, count, seed)
        for applied in (False, True):
            mine = [case for case in todo if case.number % 2 == applied]
            # A log that ends too early is read by nobody else's audit: it may have to wait for it.
            cut = [case for case in mine if applied and case.kind == "truncate"]
            for together in ([case for case in mine if case not in cut], cut):
                for some in _handfuls(together):
                    for one in await place.judge(some, applied=applied):
                        say(one)


async def _one_by_one(place: Place, todo: Sequence[Case], say: Say) -> None:
    for number, case in enumerate(todo):
        if number % _CLEAN_EVERY == 0:
            await _require_clean(place)
        try:
            say(await place.judge(case))
        except FerryError as error:
            said = f"nothing: the audit ends with {type(error).__name__}: {error.what}"
            say(Judged(case, "", found=False, located=False, said=said))
    await _require_clean(place)


async def _require_clean(place: Place) -> None:
    for finding in await place.audit():
        raise FalseAlarm(sentence(finding))


def _handfuls(todo: Sequence[Case]) -> Iterator[Sequence[Case]]:
    for first in range(0, len(todo), AT_ONCE):
        yield todo[first : first + AT_ONCE]
