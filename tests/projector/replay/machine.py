"""A machine that records, voids, goes back and forth, and restarts; and a model of one's own.

What must be true is the model's to say: model.py.
"""

import asyncio
from collections import deque
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

import eventlog
from compose.stack import Endpoints
from projector.checkpoint import offsets_of
from projector.control_tables import connect, read_projection
from projector.log import Log
from projector.replay.apps import VoidRefused
from projector.replay.beside import beside_of, drop
from projector.replay.look_back import look_back, resume
from projector.replay.replaying import Way, replay
from projector.replay.savepoints import take
from projector.replay.target import Target
from projector.replay.undoing import UndoRefused, undo_swap
from projector.replay.voiding import unvoid, void_tail
from schemas.position import format_offsets, kafka_topic
from schemas.settings import Kafka, Migration, Outbox, Postgres, Settings
from tests.domains.ledger import (
    DOMAIN,
    Account,
    AccountClosed,
    AccountOpened,
    AmountDeposited,
    Reading,
    ReadingTaken,
)
from tests.projector.app import tables
from tests.projector.broker import Broker
from tests.projector.projecting import project
from tests.projector.replay.model import Model, TakenVoid, account_row

_AT = datetime(2024, 2, 29, 12, 30, tzinfo=UTC)
_NAMES = [f"a{number}" for number in range(8)]
_METERS = ["m0", "m1"]
_RING = 3
_WAYS: list[Way] = ["swap", "in_place"]


class GoingBackMachine(RuleBasedStateMachine):
    """One app, its tables, and a model of both."""

    endpoints: ClassVar[Endpoints]
    directory: ClassVar[Path]
    made: ClassVar[int] = 0

    @initialize()
    def begin(self) -> None:
        type(self).made += 1
        name = f"m{self.directory.name[-6:].lower()}{self.made}"
        self.settings = Settings(
            source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
            kafka=Kafka(bootstrap=self.endpoints.kafka, partitions=2),
            postgres=Postgres(dsn=self.endpoints.postgres),
            outbox=Outbox(path=f"{name}.db"), directory=str(self.directory),
            migration=Migration(max_downtime_ms=5_000),
        )  # fmt: skip
        self.model = Model(self.settings)
        self.readings = 0
        self.points: list[str] = []
        self._attach()
        self._open("a0")
        self._applied()

    def _attach(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.rings: dict[str, deque[Reading]] = {m: deque(maxlen=_RING) for m in _METERS}
        self.ferry = eventlog.attach(self.settings, domain=DOMAIN)
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)

    def teardown(self) -> None:
        """End the app."""
        if hasattr(self, "ferry"):
            self.ferry.close()
            with closing(self._connect()) as conn:
                for one in beside_of(conn, self.settings.projection):
                    drop(conn, one.name)

    # --- recording

    @rule(names=st.lists(st.sampled_from(_NAMES), min_size=1, max_size=6))
    def write(self, names: list[str]) -> None:
        """Open, deposit to, or close accounts, as they are."""
        for number, name in enumerate(names):
            if name not in self.accounts:
                self._open(name)
            elif number % 4 == 3:
                self.ferry.record(AccountClosed(name))
            else:
                balance = self.accounts[name].balance + 5
                self.ferry.record(AmountDeposited(name, Decimal(5), balance))

    @rule(meters=st.lists(st.sampled_from(_METERS), min_size=1, max_size=5))
    def measure(self, meters: list[str]) -> None:
        """Take readings, more than a ring holds."""
        for meter in meters:
            self.readings += 1
            self.ferry.record(ReadingTaken(meter, self.readings, Decimal("1.5")))

    @rule()
    def send_twice(self) -> None:
        """A relay that lost its mark sends the newest events of a lane again."""
        self._sent()
        newest = [r.raw for r in self.model.records() if r.partition == 0][-4:]
        broker = Broker(self.settings.kafka.bootstrap)
        try:
            broker.send(self.settings, 0, newest)
        finally:
            broker.close()

    @rule()
    def restart(self) -> None:
        """The app ends and comes back."""
        self.ferry.close()
        self._attach()

    # --- going back and forth

    @rule()
    def apply(self) -> None:
        """A projector applies what there is, unless the tables hold."""
        self._applied()

    @rule(share=st.floats(0, 1), way=st.sampled_from(_WAYS))
    def look_back(self, share: float, way: Way) -> None:
        """The tables go to a position, and hold."""
        self._sent()
        target = Target(offset=format_offsets(self._position(share)))
        asyncio.run(look_back(self.settings, DOMAIN, target, way=way))

    @precondition(lambda self: hasattr(self, "settings") and self._state() == "held")
    @rule()
    def resume(self) -> None:
        """They go on."""
        asyncio.run(resume(self.settings, DOMAIN, 0))
        self._applied()

    @rule(share=st.floats(0.5, 1))
    def final(self, share: float) -> None:
        """All that is behind a position is void."""
        self._void(share, ())

    @rule(share=st.floats(0, 1), names=st.sets(st.sampled_from(_NAMES), min_size=1, max_size=3))
    def void(self, share: float, names: set[str]) -> None:
        """The ends of some streams are void."""
        self._void(share, tuple(sorted(f"account/{name}" for name in names)))

    @precondition(lambda self: bool(self.model.in_force()))
    @rule(data=st.data())
    def unvoid(self, data: st.DataObject) -> None:
        """A void is reversed, unless newer events stand on what it left."""
        name = data.draw(st.sampled_from(self.model.in_force()))
        self._sent()
        try:
            asyncio.run(unvoid(self.settings, DOMAIN, name, reason="a test"))
        except VoidRefused:
            assert self.model.has_newer(name)
            return
        assert not self.model.has_newer(name)
        self.model.restored.add(name)

    @rule(way=st.sampled_from(_WAYS))
    def replay(self, way: Way) -> None:
        """The tables are made anew, all of them."""
        self._sent()
        asyncio.run(replay(self.settings, DOMAIN, Target(end=True), way=way))

    @rule(keep=st.booleans())
    def take_savepoint(self, keep: bool) -> None:
        """The position gets a name, and perhaps the tables are kept."""
        name = f"s{len(self.points)}"
        with closing(self._connect()) as conn:
            asyncio.run(self._take(conn, name, keep=keep))
        self.points.append(name)

    @precondition(lambda self: bool(self.points))
    @rule(data=st.data())
    def to_savepoint(self, data: st.DataObject) -> None:
        """The tables go to a savepoint."""
        name = data.draw(st.sampled_from(self.points))
        asyncio.run(look_back(self.settings, DOMAIN, Target(savepoint=name)))

    @rule()
    def undo(self) -> None:
        """The newest swap is undone, where there is one and no void came since."""
        with closing(self._connect()) as conn:
            if not beside_of(conn, self.settings.projection, "swapped"):
                return
        try:
            asyncio.run(undo_swap(self.settings, DOMAIN))
        except UndoRefused:
            assert self.model.voids

    # --- what must hold

    @invariant()
    def tables_are_the_fold(self) -> None:
        """Tables at their position are what the model says of it."""
        if not hasattr(self, "ferry"):
            return
        self._sent()
        with closing(self._connect()) as conn:
            name = self.settings.projection
            here = offsets_of(conn, name)
            found = tables(conn, name)
        expected = self.model.expected(here)
        assert found == expected, (here, found, expected)

    @invariant()
    def memory_is_the_fold(self) -> None:
        """Memory is what the model says of the whole log."""
        if not hasattr(self, "ferry"):
            return
        expected = self.model.expected(None)
        accounts = {account_row(account) for account in self.accounts.values()}
        assert accounts == expected["accounts"]
        rings = {(r.meter, r.number) for ring in self.rings.values() for r in ring}
        newest: set[tuple[str, int]] = set()
        for meter in _METERS:
            numbers = sorted(row[1] for row in expected["readings"] if row[0] == meter)
            newest |= {(meter, number) for number in numbers[-_RING:]}
        assert rings == newest

    # --- helpers

    def _open(self, name: str) -> None:
        self.ferry.record(AccountOpened(name, "Ada", _AT, {}))

    def _void(self, share: float, streams: tuple[str, ...]) -> None:
        self._sent()
        position = self._position(share)
        target = Target(offset=format_offsets(position))
        done = asyncio.run(
            void_tail(self.settings, DOMAIN, target, streams=streams, reason="a test", kind="void")
        )
        assert not done.left_out
        self.model.voids[done.void] = TakenVoid(position, frozenset(streams))

    def _position(self, share: float) -> dict[int, int]:
        async def bounds() -> dict[int, tuple[int, int]]:
            async with Log(self.settings, kafka_topic(self.settings.topic, 1)) as log:
                return await log.bounds()

        return {p: int(end * share) for p, (_, end) in asyncio.run(bounds()).items()}

    def _sent(self) -> None:
        """All that was recorded is in Kafka."""
        self.ferry.flush(10)
        row = self.ferry.recorded_position()
        assert self.ferry.promises.replicated().wait(row, 10)

    def _applied(self) -> None:
        self._sent()
        if self._state() in {"live", ""}:
            asyncio.run(project(self.settings))

    def _state(self) -> str:
        with closing(self._connect()) as conn:
            try:
                return read_projection(conn, self.settings.projection).state
            except Exception:  # not made yet
                return ""

    async def _take(self, conn: psycopg.Connection[Any], name: str, *, keep: bool) -> None:
        domain = DOMAIN if keep else None
        await take(conn, self.settings, self.settings.projection, name, keep=domain)

    def _connect(self) -> psycopg.Connection[Any]:
        return connect(self.settings, "machine")
