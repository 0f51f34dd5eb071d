"""One server of the stack: the life that Kafka and PostgreSQL have in common."""

import shutil
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compose.stack import state
from compose.stack.errors import PartDidNotStart, PartDidNotStop, PortTaken
from compose.stack.ports import HOST, free_port, is_free
from compose.stack.process import POLL_S, ProcessId, end, find, leftovers, resident_bytes

START_TIMEOUT_S = 60.0
KILLED_WITHIN_S = 10.0


@dataclass(frozen=True)
class PartStatus:
    """How one part is now; what is unknown while it is down is None."""

    name: str
    running: bool
    pid: int | None
    endpoint: str | None
    log: Path
    uptime_s: float | None
    rss_bytes: int | None


class Part(ABC):
    """A server with a process, ports, data and a log under the stack's directory.

    The caller holds the stack's lock for everything that starts or stops.
    """

    name: str
    program: ClassVar[str]
    """The name under which the kernel lists its processes."""
    port_names: Sequence[str]
    """Its listeners; clients are given the first."""
    stop_signals: Sequence[tuple[signal.Signals, float]]
    """How to ask it to end, harder each time, with the seconds it then has."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / f"{self.name}.log"
        self._state_file = directory / f"{self.name}.json"

    @property
    @abstractmethod
    def workplace(self) -> Path:
        """The directory its processes work in, which nothing else works in."""

    @abstractmethod
    def prepare(self) -> None:
        """Its data exists; nothing happens when it did before."""

    @abstractmethod
    def launch(self, ports: dict[str, int]) -> ProcessId:
        """The server is started on these ports; it need not be ready."""

    @abstractmethod
    def answers(self, port: int) -> bool:
        """Whether a client that connects now can work."""

    def data(self) -> list[Path]:
        """Everything that a wipe removes."""
        return [self.workplace]

    @property
    def _state(self) -> state.PartState:
        return state.load(self._state_file, state.PartState) or state.PartState()

    def ports(self) -> Mapping[str, int]:
        """Its ports by name, those it was last given."""
        return self._state.ports

    def take_ports(self) -> None:
        """Its ports are chosen and known to others before it starts, unless it runs."""
        if not self.running():
            ports = self._choose_ports(same_ports=False)
            state.save(self._state_file, state.PartState(None, ports))

    @property
    def port(self) -> int:
        """The port clients use; known once it has been started."""
        return self._state.ports[self.port_names[0]]

    @property
    def address(self) -> str:
        """host:port for clients; known once it has been started."""
        return f"{HOST}:{self.port}"

    def running(self) -> bool:
        """Whether its process is there."""
        return find(self._state.process) is not None

    def ensure(self) -> None:
        """It runs and answers: what ran is kept, what crashed is cleaned up and started."""
        if self.running():
            self._await_answer(self._state)
        else:
            self.start(same_ports=False)

    def start(self, *, same_ports: bool) -> None:
        """It runs on its data, on the ports it had; on others where those are taken.

        Raises: PortTaken with `same_ports` where another program took one; PartDidNotStart.
        """
        self._end_leftovers()
        self.prepare()
        ports = self._choose_ports(same_ports=same_ports)
        process = self.launch(ports)
        current = state.PartState(process, ports)
        state.save(self._state_file, current)
        self._await_answer(current)

    def stop(self) -> None:
        """It does not run; it was asked politely first."""
        self._end(*self.stop_signals, (signal.SIGKILL, KILLED_WITHIN_S))

    def kill(self) -> None:
        """It does not run; it was not asked (kill -9)."""
        self._end((signal.SIGKILL, KILLED_WITHIN_S))

    def wipe(self) -> None:
        """Data, log and state are removed; the part must not run."""
        for path in self.data():
            if path.exists():
                shutil.rmtree(path)
        for file in self.directory.glob(f"{self.name}.*"):
            file.unlink(missing_ok=True)

    def status(self) -> PartStatus:
        """How it is now, without waiting for anything."""
        process = find(self._state.process)
        return PartStatus(
            name=self.name,
            running=process is not None,
            pid=process.pid if process else None,
            endpoint=self.address if process else None,
            log=self.log,
            uptime_s=time.time() - process.create_time() if process else None,
            rss_bytes=resident_bytes(process) if process else None,
        )

    def _choose_ports(self, *, same_ports: bool) -> dict[str, int]:
        chosen: dict[str, int] = {}
        for name in self.port_names:
            had = self._state.ports.get(name)
            if had is not None and is_free(had):
                chosen[name] = had
            elif had is not None and same_ports:
                raise PortTaken(self.name, had)
            else:
                chosen[name] = free_port(but=chosen.values())
        return chosen

    def _await_answer(self, current: state.PartState) -> None:
        port = current.ports[self.port_names[0]]
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers(port):
            if find(current.process) is None:
                raise self._did_not_start("it died while starting")
            if time.monotonic() > deadline:
                self.stop()
                raise self._did_not_start(f"no answer within {START_TIMEOUT_S:.0f} s")
            time.sleep(POLL_S)

    def _end(self, *signals: tuple[signal.Signals, float]) -> None:
        current = self._state
        if current.process is not None and not end(current.process, *signals):
            raise PartDidNotStop(self.name, current.process.pid, self.log)
        self._end_leftovers()

    def _end_leftovers(self) -> None:
        """Nothing works on the data that no state file knows of."""
        for leftover in list(leftovers(self.program, self.workplace)):
            if not end(leftover, (signal.SIGKILL, KILLED_WITHIN_S)):
                raise PartDidNotStop(self.name, leftover.pid, self.log)

    def _did_not_start(self, reason: str) -> PartDidNotStart:
        return PartDidNotStart(
            self.name,
            reason,
            self.log,
            remedy="mend what the log names and run: memferry stack up; "
            "or give the data up with: memferry stack down --wipe",
        )
