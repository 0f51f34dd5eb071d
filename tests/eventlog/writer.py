"""An app that PostgreSQL reaches and Kafka does not; its tables follow when a test says so."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg

from eventlog.control_connection import ControlConnection
from eventlog.listener import Listener
from eventlog.outbox.contract import OutboxIdentity
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.receipts import Receipt
from eventlog.requests import RequestDesk
from eventlog.shim import Ferry
from projector.checkpoint import advance, claim
from projector.control_tables import establish
from projector.migration.fences import Answer, answers
from schemas.errors import FerryError
from schemas.lane import LaneId
from schemas.position import FIRST_GENERATION
from schemas.requests import SampleAnswer
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN, Account
from tests.eventlog.app import DEADLINE_S, new_rings
from tests.projector.waiting import until

PARTITIONS = 3
IN_EFFECT_S = 0.05
"""How long a test looks for an effect that must not be."""


class Writer:
    """A shim with both listeners of an attached app, which `start` connects."""

    def __init__(self, settings: Settings, database: psycopg.Connection[Any]) -> None:
        self.settings = settings
        self.database = database
        self.projection = settings.projection
        self.source = settings.source
        identity = OutboxIdentity(settings.source, settings.topic, FIRST_GENERATION, PARTITIONS)
        self.established = establish(database, settings, DOMAIN, PARTITIONS)
        self._outbox = SqliteOutbox(settings.outbox_path, identity)
        self.ferry = Ferry(settings, self._outbox, DOMAIN)
        self.accounts: dict[str, Account] = {}
        self.rings = new_rings()
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)
        self.route = self.ferry.reads.route
        self.sample: Callable[[], SampleAnswer] = lambda: SampleAnswer(0, [])
        """What the app answers when it is asked for a sample."""
        ending = threading.Event()
        self.control = Listener(
            settings, self.source, ControlConnection(self.ferry, settings, self.route)
        )
        self.desk = Listener(
            settings,
            self.source,
            RequestDesk(self.ferry, settings, self.ferry.first_snapshot, self._sample, ending),
        )
        self._ending = ending

    def start(self) -> "Writer":
        """PostgreSQL reaches the app, and it has seen everything that was asked before."""
        for listener in (self.control, self.desk):
            self.ferry.on_close(listener.close)
            listener.start()
        assert self.control.began.wait(DEADLINE_S)
        return self

    def apply(self) -> None:
        """Everything durable is applied, as far as lanes and checkpoint say: as one commit."""
        lanes = {LaneId(self.source, 1, p): h for p, h in self._outbox.heads().items() if p >= 0}
        with self.database.transaction():
            held = claim(self.database, self.established, "live")
            heads = [(lane, head) for lane, head in lanes.items() if held.lanes.get(lane) != head]
            offsets = {p: (offset, offset + 1, "") for p, offset in held.offsets.items()}
            advance(self.database, held, offsets, heads)

    def _sample(self) -> SampleAnswer:
        return self.sample()

    def answer(self, fence: str) -> Answer | None:
        return answers(self.database, fence).get(self.source)

    def said(self, fence: str) -> str:
        found = self.answer(fence)
        return found.state if found else ""

    def wait_until_said(self, fence: str, state: str) -> Answer:
        until(lambda: self.said(fence) == state, f"{self.source} says {state}")
        found = self.answer(fence)
        assert found is not None
        return found

    def backends(self, duty: str = "shim") -> list[int]:
        """Return the server's processes for one of the app's connections."""
        found = self.database.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s AND datname = "
            "current_database()",
            (f"memferry {duty} {self.source}",),
        )
        return [pid for (pid,) in found]

    def cut(self, duty: str = "shim") -> None:
        """The server ends one of the app's connections."""
        for pid in self.backends(duty):
            self.database.execute("SELECT pg_terminate_backend(%s)", (pid,))

    def close(self) -> None:
        self._ending.set()
        self.control.stop()
        self.desk.stop()
        self.ferry.close(DEADLINE_S)


class Mutation:
    """Something that records, in a thread of its own; what came of it."""

    def __init__(self, record: Callable[[], Receipt | Iterable[Receipt]]) -> None:
        self.receipts: list[Receipt] = []
        self.error: FerryError | None = None
        self._record = record
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            found = self._record()
        except FerryError as error:
            self.error = error
        else:
            self.receipts = [found] if isinstance(found, Receipt) else list(found)

    def still_waits(self) -> bool:
        """Say whether it stands still, after long enough to see that it does not."""
        self._thread.join(IN_EFFECT_S)
        return self._thread.is_alive()

    @property
    def waits(self) -> bool:
        """Whether it has not ended."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Return once it has recorded; raise what it was refused with."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "the mutation still waits"
        if self.error is not None:
            raise self.error
