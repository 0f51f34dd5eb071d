"""Memory after a restart is what the log says, and the app's own where the log says nothing."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from eventlog.restart.fold import restore
from eventlog.window_store import store_for
from tests.domains.ledger import ACCOUNT, Account
from tests.eventlog.app import (
    DEADLINE_S,
    WINDOW,
    App,
    account,
    by_number,
    closed,
    deposited,
    fold,
    new_rings,
    opened,
    readings,
    require_whole_lanes,
    rows_of,
    taken,
    types_of,
)

MakeApp = Callable[..., App]


def test_a_restart_brings_back_what_was_durable(make_app: MakeApp) -> None:
    app = make_app()
    assert not app.ferry.restored
    app.ferry.record_all([opened("a"), deposited("a", 5, 5), opened("b"), closed("b")])
    for number in range(5):
        app.ferry.record(taken("m", number))
    app.close()

    again = make_app()

    assert again.ferry.restored
    assert again.memory() == app.memory()
    assert list(again.accounts) == ["a"]


def test_the_log_goes_over_what_the_app_had(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record_all([opened("a"), deposited("a", 5, 5), opened("ended"), closed("ended")])
    app.ferry.record_all([taken("m", 1), taken("m", 2)])
    app.close()
    stale = {"a": account("a", 99), "ended": account("ended")}

    again = make_app(accounts=stale, rings={"m": readings("m", 1, 9)})

    assert again.memory() == app.memory()
    again.ferry.record(deposited("a", 1, 6)).durable(DEADLINE_S)
    assert types_of(rows_of(app.path))[-2:] == [
        "ledger.reading.taken.v1",
        "ledger.account.deposited.v1",
    ]


def test_streams_that_were_never_recorded_stay_as_the_app_has_them(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("a"))
    app.close()

    again = make_app(accounts={"own": account("own", 7)}, rings={"own": readings("own", 1)})

    assert again.accounts == {"a": account("a"), "own": account("own", 7)}
    again.ferry.record(deposited("own", 1, 8)).durable(DEADLINE_S)
    again.ferry.record(taken("own", 2)).durable(DEADLINE_S)
    assert fold(rows_of(app.path)) == again.memory()


def test_after_a_restart_recording_goes_on_in_the_same_lanes(make_app: MakeApp) -> None:
    for balance in range(1, 6):
        app = make_app()
        if balance == 1:
            app.ferry.record(opened("a"))
        app.ferry.record(deposited("a", 1, balance))
        app.close()

    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert len(rows) == 6
    assert fold(rows)["account"] == {"a": account("a", 5)}


def test_one_kind_is_brought_back_without_the_others(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record_all([opened("a"), taken("m", 1)])
    app.close()
    accounts: dict[str, Account] = {}

    streams = restore(rows_of(app.path), store_for(ACCOUNT, accounts))

    assert streams == {"account/a"}
    assert accounts == app.accounts


def test_a_kind_whose_name_begins_like_another_is_not_taken_for_it(make_app: MakeApp) -> None:
    app = make_app()
    app.ferry.record(opened("reading/m"))
    app.close()
    accounts: dict[str, Account] = {}

    again = make_app()
    streams = restore(rows_of(app.path), store_for(replace(ACCOUNT, name="acc"), accounts))

    assert again.memory() == app.memory()
    assert not again.rings
    assert (streams, accounts) == (set(), {})


NAMES = st.sampled_from(["a", "b", "c/d", "日本"])
METERS = st.sampled_from(["m", "n"])


class Restarts(RuleBasedStateMachine):
    """An app that records, evicts, ends entities and is restarted, beside a plain model of it."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp())
        self.balances: dict[str, int] = {}
        self.windows: dict[str, list[int]] = {}
        self.first, self.last = 0, 100
        self.app: Any = None

    @initialize(
        accounts=st.dictionaries(NAMES, st.integers(0, 9)),
        rings=st.dictionaries(METERS, st.integers(0, 5)),
    )
    def begin(self, accounts: dict[str, int], rings: dict[str, int]) -> None:
        self.balances = dict(accounts)
        self.windows = {m: list(range(count))[-WINDOW:] for m, count in rings.items()}
        self.start({n: account(n, b) for n, b in accounts.items()})

    def start(self, accounts: dict[str, Account]) -> None:
        rings = new_rings()
        if not (self.place / "outbox.db").exists():
            rings |= {meter: readings(meter, *window) for meter, window in self.windows.items()}
        self.app = App(self.place / "outbox.db", accounts=accounts, rings=rings)
        if not self.app.ferry.restored:
            self.app.ferry.snapshot()
            assert self.app.ferry.snapshot_done.wait(DEADLINE_S)

    @rule(name=NAMES)
    def open(self, name: str) -> None:
        if name not in self.balances:
            self.app.ferry.record(opened(name))
            self.balances[name] = 0

    @rule(name=NAMES, amount=st.integers(1, 9))
    def deposit(self, name: str, amount: int) -> None:
        if name in self.balances:
            self.balances[name] += amount
            self.app.ferry.record(deposited(name, amount, self.balances[name]))

    @rule(name=NAMES)
    def close_account(self, name: str) -> None:
        if self.balances.pop(name, None) is not None:
            self.app.ferry.record(closed(name))

    @rule(meter=METERS, count=st.integers(1, 5))
    def take(self, meter: str, count: int) -> None:
        numbers = [self.last + n for n in range(count)]
        self.last += count
        self.app.ferry.record_all([taken(meter, number) for number in numbers])
        self.windows[meter] = (self.windows.get(meter, []) + numbers)[-WINDOW:]

    @rule(meter=METERS)
    def take_late(self, meter: str) -> None:
        self.first -= 1
        self.app.ferry.record(taken(meter, self.first))
        self.windows[meter] = [*self.windows.get(meter, []), self.first][-WINDOW:]

    @precondition(lambda self: self.app is not None)
    @rule(stale=st.booleans())
    def restart(self, stale: bool) -> None:
        self.app.close()
        before = self.app.accounts if stale else {}
        self.start({name: account(name, 77) for name in before})

    @invariant()
    def memory_is_as_the_model(self) -> None:
        if self.app is not None:
            assert {n: a.balance for n, a in self.app.accounts.items()} == {
                n: Decimal(b) for n, b in self.balances.items()
            }
            assert {m: [r.number for r in ring] for m, ring in self.app.rings.items() if ring} == {
                m: window for m, window in self.windows.items() if window
            }

    def teardown(self) -> None:
        if self.app is not None:
            self.app.close()
            rows = rows_of(self.app.path)
            require_whole_lanes(rows)
            assert fold(rows)["account"] == self.app.accounts
            assert by_number(self.app.rings).items() <= fold(rows)["reading"].items()
        shutil.rmtree(self.place)


Restarts.TestCase.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)
TestMemoryOverRestarts = Restarts.TestCase
