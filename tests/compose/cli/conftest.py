"""The command line as its users meet it: a process, its arguments, its environment."""

import multiprocessing
import os
import secrets
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import psycopg
import pytest

from compose.stack import Stack
from projector.control_tables import read_projection
from projector.route import read_route
from schemas.settings import Backup, Kafka, Migration, Outbox, Postgres, Reads, Settings
from tests.compose.cli import child
from tests.projector.app import App, accounts_in
from tests.projector.broker import Broker
from tests.projector.migration.stage import DEADLINE_S, Stage

_DEADLINE_S = 30
# A server that has everything imported and forks: a command then starts in a tenth of the time.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pytest", "compose.cli", "tests.compose.cli.child"])


class Done(NamedTuple):
    """How a command ended; `said` is standard error in one line, however wide the terminal."""

    code: int | None
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join(self.err.split())

    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Running:
    """A command that runs."""

    def __init__(self, process: ForkServerProcess, output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def done(self) -> Done:
        """Wait for its end."""
        self.process.join(_DEADLINE_S)
        assert self.process.exitcode is not None, f"still runs: {self._read('err')}"
        return Done(self.process.exitcode, self._read("out"), self._read("err"))

    def _read(self, name: str) -> str:
        return (self._output / name).read_text()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start `memferry` with arguments, environment variables and perhaps a directory."""
    started: list[Running] = []

    def begin(
        *arguments: str, environment: dict[str, str] | None = None, directory: Path = tmp_path
    ) -> Running:
        output = tmp_path / f"output-{len(started)}"
        output.mkdir()
        known = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        # Nobody's own stack is found: servers are those that the test names.
        known |= {"MEMFERRY_HOME": str(tmp_path / "home")} | (environment or {})
        process = _processes.Process(target=child.run, args=(arguments, known, directory, output))
        process.start()
        started.append(Running(process, output))
        return started[-1]

    yield begin
    for running in started:
        if running.process.is_alive():
            running.process.kill()
            running.process.join(_DEADLINE_S)


@pytest.fixture
def memferry(start: Callable[..., Running]) -> Callable[..., Done]:
    """Run `memferry` to its end."""

    def run(*arguments: str, **options: Any) -> Done:
        return start(*arguments, **options).done()

    return run


def variables(settings: Settings) -> dict[str, str]:
    """Return settings as the environment has them."""
    return {
        "MEMFERRY_SOURCE": settings.source,
        "MEMFERRY_TOPIC": settings.topic,
        "MEMFERRY_DOMAIN": settings.domain,
        "MEMFERRY_PROJECTION": settings.projection,
        "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
        "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
        "MEMFERRY_OUTBOX_PATH": settings.outbox.path,
        "MEMFERRY_DIRECTORY": settings.directory,
        "MEMFERRY_MIGRATION_MAX_DOWNTIME_MS": str(settings.migration.max_downtime_ms),
        "MEMFERRY_MIGRATION_TIMEOUT_MS": str(settings.migration.timeout_ms),
        "MEMFERRY_BACKUP_BEFORE_MIGRATION": str(settings.backup.before_migration).lower(),
    }


class Ledger(NamedTuple):
    """A topic with a history of 21 events: its settings, its app, and a way to write to it."""

    settings: Settings
    app: App
    broker: Broker

    @property
    def environment(self) -> dict[str, str]:
        return variables(self.settings)


@pytest.fixture(scope="module")
def ledger(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One history for a module's tests."""
    endpoints = stack.endpoints()
    assert endpoints is not None
    name = f"t{secrets.token_hex(5)}"
    settings = Settings(
        source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=3), postgres=Postgres(endpoints.postgres),
        outbox=Outbox(path="outbox.db"), directory=str(tmp_path_factory.mktemp("ledger")),
    )  # fmt: skip
    app, broker = App(settings), Broker(settings.kafka.bootstrap)
    broker.make_topics(settings)
    for partition in range(3):
        names = accounts_in(partition, 4)
        app.open(*names)
        for account in names[:3]:
            app.deposit(account, 5)
    broker.publish(settings, app.rows())
    yield Ledger(settings, app, broker)
    app.close()
    broker.close()


@pytest.fixture
def projected(ledger: Ledger, memferry: Callable[..., Done]) -> Ledger:
    """The history is in the tables, whatever a test before did with them."""
    done = memferry("replay", "--to-end", environment=ledger.environment)
    assert done.code == 0, done.err
    return ledger


@pytest.fixture(scope="session")
def running_app(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One running app with a projector for all commands that need one; it writes nothing."""
    endpoints = stack.endpoints()
    assert endpoints is not None
    name = f"t{secrets.token_hex(5)}"
    settings = Settings(
        source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
        kafka=Kafka(bootstrap=endpoints.kafka, partitions=3), postgres=Postgres(endpoints.postgres),
        outbox=Outbox(path="outbox.db"), directory=str(tmp_path_factory.mktemp("app")),
        migration=Migration(max_downtime_ms=8_000, timeout_ms=20_000),
        reads=Reads(timeout_ms=30_000), backup=Backup(before_migration=False),
    )  # fmt: skip
    stage = Stage(settings)
    stage.project()
    stage.ferry.snapshot()  # whichever test comes first finds in the log what memory holds
    assert stage.ferry.snapshot_done.wait(DEADLINE_S)
    stage.deposit("w-0").applied(DEADLINE_S)
    yield stage
    stage.close()


@pytest.fixture
def trading(running_app: Stage) -> Iterator[Stage]:
    """Reads are in memory and the tables follow, before each test and behind it."""
    yield running_app
    settings, migration = running_app.settings, running_app.migration()
    with psycopg.connect(settings.postgres.dsn) as conn:
        held = read_projection(conn, settings.projection).state == "held"
        away = read_route(conn, settings.projection).route == "postgres"
    if held:
        migration.resume(timeout_s=DEADLINE_S)
    if away:
        migration.switch_back(without_audit=True)


@pytest.fixture
def commands(trading: Stage, memferry: Callable[..., Done]) -> Callable[..., Done]:
    """Run `memferry` on the running app."""

    def run(*arguments: str) -> Done:
        return memferry(*arguments, environment=variables(trading.settings))

    return run
