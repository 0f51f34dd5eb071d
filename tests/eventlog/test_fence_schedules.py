"""Any schedule of leases, against what they must come to, on a clock that the test moves."""

import threading

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from eventlog.fence import Fence, Pause

NAMES = st.sampled_from(["f", "g", "h"])
LEASES = st.integers(1, 5).map(float)


class Schedules(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.lock = threading.RLock()
        self.fence = Fence(self.lock, clock=lambda: self.now)
        self.leases: dict[str, tuple[float, float]] = {}  # since, until
        self.lapsed: list[Pause] = []

    def expire(self) -> None:
        for name, (since, until_) in list(self.leases.items()):
            if until_ <= self.now:
                self.lapsed.append(Pause(name, until_ - since, True))
                del self.leases[name]

    @rule(name=NAMES, lease=LEASES)
    def close(self, name: str, lease: float) -> None:
        if name not in self.leases:  # a name is one fence's
            self.fence.close(name, lease)
            self.leases[name] = (self.now, self.now + lease)

    @rule(name=NAMES, lease=LEASES)
    def prolong(self, name: str, lease: float) -> None:
        assert self.fence.prolong(name, lease) == (name in self.leases)
        if name in self.leases:
            self.leases[name] = (self.leases[name][0], self.now + lease)

    @rule(name=NAMES)
    def open(self, name: str) -> None:
        since = self.leases.pop(name, (None, None))[0]
        wanted = None if since is None else Pause(name, self.now - since, False)
        assert self.fence.open(name) == wanted

    @rule(seconds=LEASES)
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.expire()

    @rule()
    def report(self) -> None:
        assert sorted(self.fence.lapsed()) == sorted(self.lapsed)
        self.lapsed = []

    @rule()
    def close_the_shim(self) -> None:
        self.fence.open_all()
        self.leases = {}

    @invariant()
    def the_gate_is_closed_for_as_long_as_the_longest_lease(self) -> None:
        longest = max((until_ for _, until_ in self.leases.values()), default=self.now)
        assert self.fence.left() == longest - self.now
        if not self.leases:
            with self.lock:
                self.fence.wait()


Schedules.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestSchedules = Schedules.TestCase
