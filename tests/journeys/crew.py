"""The processes of a journey: trading app, relay, projector, each killed at given moments."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg

from compose.demo.processes import MEMFERRY, Commands, Process
from eventlog.marks import MarkFile
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from projector.sql import query
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION
from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.checker import Verdict, check
from tests.journeys.begun import Begun

DEADLINE_S = 90.0
_LOOK_S = 0.01


class Crew:
    """An app with its relay and projector as processes, and what each has done so far."""

    def __init__(self, settings: Settings, directory: Path, *app_options: str) -> None:
        self.settings = settings
        self.journal = directory / "journal.jsonl"
        self._ready = directory / "ready.json"
        config = directory / "memferry.toml"
        config.write_text(
            f'source = "{settings.source}"\ntopic = "{settings.topic}"\n'
            f'projection = "{settings.projection}"\ndomain = "schemas.trading"\n'
            f'[outbox]\npath = "{settings.outbox.path}"\n[relay]\nmode = "process"\n'
            f"[kafka]\npartitions = {settings.kafka.partitions}\n",
            encoding="utf-8",
        )
        environment = os.environ | {
            "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
            "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
        }
        app = (
            sys.executable, "-m", "compose.trading_app", "--config", str(config),
            "--journal", str(self.journal), "--http", "0", "--ready-file", str(self._ready),
            *app_options,
        )  # fmt: skip
        self.app = Process("app", app, directory / "app.log", environment)
        self.relay = Process(
            "relay", (*MEMFERRY, "relay", "-c", str(config)), directory / "relay.log", environment
        )
        self.projector = Process(
            "projector", (*MEMFERRY, "project", "-c", str(config)), directory / "projector.log",
            environment,
        )  # fmt: skip
        self._commands = Commands(environment, directory / "commands.log")
        self._config = str(config)
        self.environment = environment
        self._directory = directory

    def command(self, *words: str) -> Any:
        """Run a memferry command; return its JSON document."""
        return self._commands.run(*words, "-c", self._config)

    def begin(self, *words: str) -> Begun:
        """Start a memferry command, to be watched or killed while it runs."""
        return Begun((*MEMFERRY, *words, "-c", self._config), self._directory, self.environment)

    @property
    def url(self) -> str:
        """Where the app serves; once its ready file is there."""
        return f"http://127.0.0.1:{msgspec.json.decode(self._ready.read_bytes())['port']}"

    def start(self) -> None:
        """Start all; return once the app serves and events are applied."""
        self.app.start()
        self.wait(self._ready.exists, "the app serves")
        self.relay.start()
        self.wait(lambda: self.relayed() > 0, "the topic is there")
        self.projector.start()
        self.wait(lambda: self.applied() > 0, "the first events are applied")

    def settle(self) -> Verdict:
        """Stop the app, let everything arrive, end all; return what the checker says."""
        self.app.end()
        self.wait(lambda: self.relayed() >= self.recorded(), "the last events are relayed")
        self.wait(lambda: self.applied() == self.in_lanes(), "everything is applied")
        self.end()
        settings = self.settings
        return asyncio.run(
            check(
                journal=self.journal,
                bootstrap=settings.kafka.bootstrap,
                topic=kafka_topic(settings.topic, 1),
                dsn=settings.postgres.dsn,
                schema=settings.projection,
            )
        )

    def ask(self, method: str, path: str) -> Any:
        """Ask the app over HTTP."""
        answer = httpx.request(method, f"{self.url}{path}", timeout=10)
        answer.raise_for_status()
        return answer.json()

    def recorded(self) -> int:
        """Events that are durable in the outbox."""
        try:
            reader = SqliteOutboxReader(self.settings.outbox_path)
        except FerryError:
            return 0
        try:
            return reader.last_row()
        finally:
            reader.close()

    def relayed(self) -> int:
        """Events that the relay has seen acknowledged."""
        marks = MarkFile(self.settings.outbox_path)
        try:
            return marks.read()
        finally:
            marks.close()

    def applied(self) -> int:
        """Events whose rows are committed."""
        try:
            with psycopg.connect(self.settings.postgres.dsn, autocommit=True) as conn:
                row = conn.execute(query("events_applied"), (self.settings.projection,)).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(row[0]) if row else 0

    def in_lanes(self) -> int:
        """Durable events that belong into the tables' lanes: all but the control records."""
        reader = SqliteOutboxReader(self.settings.outbox_path)
        try:
            return sum(head.seq for p, head in reader.heads().items() if p != CONTROL_PARTITION)
        finally:
            reader.close()

    def tape_ended(self) -> bool:
        """Whether the app of this moment has traded everything."""
        try:
            return bool(self.ask("GET", "/state")["tape_ended"])
        except (httpx.HTTPError, OSError, msgspec.MsgspecError, KeyError):
            return False

    def wait(
        self, condition: Callable[[], object], what: str, within_s: float = DEADLINE_S
    ) -> None:
        """Return once something is so; fail with a process's log where it ended instead."""
        deadline = time.monotonic() + within_s
        while not condition():
            for process in (self.app, self.relay, self.projector):
                process.require_alive()
            assert time.monotonic() < deadline, f"waited {within_s} s until {what}"
            threading.Event().wait(_LOOK_S)

    def end(self) -> None:
        """End all processes."""
        for process in (self.app, self.relay, self.projector):
            process.end()


class Killer:
    """Kills a process with -9 each time a count passes the next moment, and starts it again."""

    def __init__(self, process: Process, count: Callable[[], int], moments: Sequence[int]) -> None:
        self.killed_at: list[int] = []
        self._process = process
        self._count = count
        self._moments = list(moments)

    def look(self) -> None:
        """Kill the process if its next moment has come."""
        if self._moments and (count := self._count()) >= self._moments[0]:
            self._process.kill()
            self.killed_at.append(count)
            self._moments.pop(0)
            self._process.start()

    @property
    def done(self) -> bool:
        """Whether every moment has come."""
        return not self._moments
