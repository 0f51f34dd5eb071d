"""The embedded stack: one Kafka and one PostgreSQL for this user, started and stopped by name."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from compose.stack.cluster import brokers_of, cluster_in, forget, keep
from compose.stack.exclusive import exclusive
from compose.stack.home import home, make
from compose.stack.part import Part, PartStatus
from compose.stack.postgres import Postgres


@dataclass(frozen=True)
class Endpoints:
    """Where clients find the parts.

    Shape: `kafka` is host:port of each broker, by commas; `postgres` is a URL with a password,
           which is therefore left out of what is printed.
    """

    kafka: str
    postgres: str = field(repr=False)


class Stack:
    """Kafka and PostgreSQL in one directory, which outlive the process that starts them.

    Every method finds what runs by its process id; no object needs to be kept. Two processes
    may call at the same time: they take turns.
    """

    def __init__(self, directory: Path | None = None) -> None:
        """`directory` holds data, logs and state; None: one of this user's (MEMFERRY_HOME)."""
        self.directory = make((directory or home() / "stack").absolute())
        self._postgres = Postgres(self.directory)
        self._brokers = brokers_of(self.directory, cluster_in(self.directory))

    @property
    def _parts(self) -> Sequence[Part]:
        return (*self._brokers, self._postgres)

    def up(self, brokers: int | None = None) -> Endpoints:
        """All parts run and answer: what ran is reused, what crashed is started on its data.

        Shape: `brokers` of Kafka, decided when the stack is made; None: as it was made, else one.
        Raises: BrokersFixed; PartDidNotStart with the end of its log, the others left running.
        """
        with self._exclusive():
            cluster = cluster_in(self.directory, brokers)
            keep(self.directory, cluster)
            self._brokers = brokers_of(self.directory, cluster)
            for broker in self._brokers:
                broker.take_ports()
            _together([part.ensure for part in self._parts])
            return self._endpoints()

    def down(self, *, wipe: bool = False) -> None:
        """No part runs; with `wipe` their data, passwords, logs and ports are forgotten too."""
        with self._exclusive():
            _together([part.stop for part in self._parts])
            if wipe:
                for part in self._parts:
                    part.wipe()
                forget(self.directory)

    def status(self) -> list[PartStatus]:
        """How each part is now; waits for nobody."""
        return [part.status() for part in self._parts]

    def endpoints(self) -> Endpoints | None:
        """Where the parts are, without starting any; None unless both run."""
        return self._endpoints() if all(part.running() for part in self._parts) else None

    def kill_kafka(self, broker: int = 1) -> None:
        """One broker of Kafka is killed (kill -9), as a fault test wants it."""
        with self._exclusive():
            self._brokers[broker - 1].kill()

    def kill_postgres(self) -> None:
        """PostgreSQL is killed (kill -9) with its backends."""
        with self._exclusive():
            self._postgres.kill()

    def restart_kafka(self, broker: int = 1) -> None:
        """A broker was stopped where it ran, and runs again on the same port and data."""
        self._restart(self._brokers[broker - 1])

    def restart_postgres(self) -> None:
        """PostgreSQL was stopped where it ran, and runs again on the same port and data."""
        self._restart(self._postgres)

    def _restart(self, part: Part) -> None:
        with self._exclusive():
            part.stop()
            part.start(same_ports=True)

    def _endpoints(self) -> Endpoints:
        brokers = ",".join(broker.address for broker in self._brokers)
        return Endpoints(kafka=brokers, postgres=self._postgres.url)

    def _exclusive(self) -> AbstractContextManager[None]:
        return exclusive(self.directory / "stack.lock")


def _together(acts: Sequence[Callable[[], None]]) -> None:
    """All acts are done, side by side; the first error is raised, with the others noted on it."""
    with ThreadPoolExecutor(len(acts)) as pool:
        futures = [pool.submit(act) for act in acts]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        first, *others = errors
        for other in others:
            first.add_note(str(other))
        raise first
