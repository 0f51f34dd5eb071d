"""Random histories with rollbacks, reversals and restarts: memory is what it was at each position,
and what the events that count make of nothing."""

import copy
import operator
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.shim import Ferry
from schemas.settings import Outbox, Settings
from tests.domains.ledger import DOMAIN, Account
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    closed,
    deposited,
    fold,
    new_rings,
    opened,
    rows_of,
    taken,
)
from tests.eventlog.rolling import counting, go_back, go_forward, here

KEYS = ("a", "b", "c")
STREAMS = (
    *(f"account/{key}" for key in KEYS), *(f"trade/{key}" for key in KEYS),
    *(f"balance/{key}" for key in KEYS), "reading/a", "reading/b", "numbers/numbers", "ring/ring",
)  # fmt: skip


class Trade(msgspec.Struct):
    id: str
    fills: list[int] = []


class Balance(msgspec.Struct):
    symbol: str
    total: int


class World:
    """Containers of every sort on one outbox, as they are after a start."""

    def __init__(self, path: Path) -> None:
        self.path = path
        options = Settings(source="app-1", topic="t", outbox=Outbox(path=str(path)))
        self.ferry = Ferry(options, SqliteOutbox(path, IDENTITY), DOMAIN)
        self.accounts: dict[str, Account] = {}
        self.rings = new_rings()
        self.balances: dict[str, Balance] = {}
        self.ferry.register("account", self.accounts)
        self.ferry.register("reading", self.rings)
        self.ferry.entity(stream="trade", key="id")(Trade)
        self.ferry.entity(stream="balance", key="symbol")(Balance)
        self.trades: Any = self.ferry.dict("trades", Trade)
        self.numbers: Any = self.ferry.list("numbers", int)
        self.ring: Any = self.ferry.deque("ring", int, maxlen=3)
        self.ferry.watch("balances", self.balances, Balance)

    def memory(self) -> dict[str, Any]:
        """Return what the app holds, by stream."""
        found: dict[str, Any] = {f"account/{k}": v for k, v in self.accounts.items()}
        found |= {f"reading/{k}": list(ring) for k, ring in self.rings.items() if ring}
        found |= {f"trade/{k}": v for k, v in self.trades.items()}
        found |= {f"balance/{k}": v for k, v in self.balances.items()}
        store: Any = self.ferry.stores()["ring"]
        found |= {"numbers/numbers": list(self.numbers)} if self.numbers else {}
        found |= {"ring/ring": (store.first, list(self.ring))} if self.ring else {}
        return copy.deepcopy(found)


class Machine(RuleBasedStateMachine):
    """Changes a world; `folder` is set by who runs it."""

    folder: Path
    count = 0

    @initialize()
    def begin(self) -> None:
        Machine.count += 1
        self.world = World(self.folder / f"{Machine.count}.db")
        self.number = 0
        self.positions = [(here(self.world.ferry), self.world.memory())]
        self.undo: tuple[str, dict[str, Any], list[Any]] | None = None

    def teardown(self) -> None:
        self.start_again()
        world = self.world
        world.ferry.flush(DEADLINE_S)
        said = fold(
            row for row in counting(rows_of(world.path)) if row.stream.startswith("account/")
        )
        assert said["account"] == world.accounts
        world.ferry.close(DEADLINE_S)

    @rule(key=st.sampled_from(KEYS), kind=st.integers(0, 3))
    def change_accounts(self, key: str, kind: int) -> None:
        self.undo, accounts, ferry = None, self.world.accounts, self.world.ferry
        if kind == 0:
            self.number += 1
            ferry.record(taken(key, self.number))
        elif key not in accounts:
            ferry.record_all([opened(key), deposited(key, kind, kind)])
        elif kind == 1:
            ferry.record(closed(key))
        else:
            ferry.record(deposited(key, kind, accounts[key].balance + kind))

    @rule(key=st.sampled_from(KEYS), kind=st.integers(0, 3))
    def change_trades(self, key: str, kind: int) -> None:
        self.undo, trades = None, self.world.trades
        if key not in trades or kind == 0:
            trades[key] = Trade(key, [kind])
        elif kind == 1:
            del trades[key]
        else:
            trades[key].fills.append(kind)

    @rule(key=st.sampled_from(KEYS), kind=st.integers(0, 2))
    def change_balances(self, key: str, kind: int) -> None:
        self.undo, balances = None, self.world.balances
        with self.world.ferry.mutates("balances", key=key):
            if key not in balances:
                balances[key] = Balance(key, kind)
            elif kind == 0:
                del balances[key]
            else:
                balances[key].total += kind

    @rule(change=st.sampled_from(["append", "pop", "insert", "set", "extend"]), i=st.integers(0, 9))
    def change_rows(self, change: str, i: int) -> None:
        self.undo, (numbers, ring) = None, (self.world.numbers, self.world.ring)
        changes: dict[str, Callable[[Any], Any]] = {
            "append": lambda x: x.append(i),
            "pop": lambda x: x.pop(0) if x and not isinstance(x, deque) else x and x.popleft(),
            "insert": lambda x: None if isinstance(x, deque) else x.insert(i % 3, i),
            "set": lambda x: x and operator.setitem(x, i % len(x), i),
            "extend": lambda x: x.extend([i, i + 1]),
        }
        for one in (numbers, ring):
            changes[change](one)

    @rule()
    def note_the_position(self) -> None:
        self.positions.append((here(self.world.ferry), self.world.memory()))

    @rule(place=st.integers(0, 5))
    def go_back(self, place: int) -> None:
        before, place = self.world.memory(), place % len(self.positions)
        lanes, memory = self.positions[place]
        left, self.positions = self.positions[place + 1 :], self.positions[: place + 1]

        void = go_back(self.world.ferry, lanes)

        assert self.world.memory() == memory
        self.undo = (void, before, left)

    @rule(streams=st.lists(st.sampled_from(STREAMS), min_size=1, max_size=4))
    def go_back_in_some(self, streams: list[str]) -> None:
        before, (lanes, memory) = self.world.memory(), self.positions[-1]

        void = go_back(self.world.ferry, lanes, *streams)

        both = {s: (memory if s in streams else before).get(s) for s in {*memory, *before}}
        assert self.world.memory() == {s: state for s, state in both.items() if state is not None}
        self.undo = (void, before, [])

    @precondition(lambda self: self.undo)
    @rule()
    def go_forward(self) -> None:
        assert self.undo is not None
        void, before, left = self.undo

        go_forward(self.world.ferry, void)

        assert self.world.memory() == before
        self.positions += left
        self.undo = None

    @rule()
    def start_again(self) -> None:
        before = self.world.memory()
        self.world.ferry.close(DEADLINE_S)
        self.world = World(self.world.path)
        assert self.world.memory() == before
        assert self.world.ferry.uncaptured("balances") == []


def test_memory_is_what_counts_whatever_goes_back_and_forward(tmp_path: Path) -> None:
    machine = type("OneMachine", (Machine,), {"folder": tmp_path})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=5,
            stateful_step_count=25,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
