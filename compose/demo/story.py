"""The demo's story, step by step; every step is what an operator could type."""

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console

from compose.demo.processes import MEMFERRY, Commands, Process
from compose.demo.summary import AuditSummary, RollbackSummary, Summary
from compose.demo.watch import Watch
from compose.stack import Stack
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from projector.sql import query
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION

SOURCE = "paper-trader"
_WAIT_S = 30.0


class DemoStuck(FerryError):
    """Something that should have happened did not within its time."""


class Story:
    """One run: its directory, its processes, and what it found."""

    def __init__(
        self, stack: Stack, directory: Path, console: Console, speed: float, multiplicity: int
    ) -> None:
        self._stack = stack
        self._directory = directory
        self._console = console
        self._trading = ("--speed", str(speed), "--multiplicity", str(multiplicity))
        self._projection = f"trading_{secrets.token_hex(3)}"
        self._kills = {"relay": 0, "projector": 0}
        self._audits: list[bool] = []
        self._started = time.monotonic()

    def run(self, seconds: float) -> Summary:
        """Trade for about `seconds`, with everything that is to be proved on the way."""
        self._prepare()
        with Watch(self._console, self._processes, self._dsn, self._projection) as watch:
            self._watch = watch
            try:
                return self._play(seconds)
            finally:
                for process in reversed(self._processes):
                    process.end()

    def _prepare(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        self._say("start", "Kafka and PostgreSQL")
        endpoints = self._stack.up()
        self._dsn = endpoints.postgres
        config = self._directory / "memferry.toml"
        config.write_text(
            f'source = "{SOURCE}"\ntopic = "trading"\nprojection = "{self._projection}"\n'
            f'domain = "schemas.trading"\n[outbox]\npath = "outbox.db"\n'
            f'[relay]\nmode = "process"\n',
            encoding="utf-8",
        )
        environment = os.environ | {
            "MEMFERRY_KAFKA_BOOTSTRAP": endpoints.kafka,
            "MEMFERRY_POSTGRES_DSN": endpoints.postgres,
        }
        self._ready = self._directory / "app.json"
        self._outbox = self._directory / "outbox.db"
        app = (
            sys.executable, "-m", "compose.trading_app", "--config", str(config), "--laps", "0",
            "--http", "0", "--ready-file", str(self._ready), *self._trading,
        )  # fmt: skip
        with_config = ("-c", str(config))
        log = self._directory / "logs"
        log.mkdir()
        self._app = Process("app", app, log / "app.log", environment)
        self._relay = Process(
            "relay", (*MEMFERRY, "relay", *with_config), log / "relay.log", environment
        )
        self._projector = Process(
            "projector", (*MEMFERRY, "project", *with_config), log / "projector.log", environment
        )
        self._processes = [self._app, self._relay, self._projector]
        self._commands = Commands(environment, log / "commands.log")
        self._with_config = with_config

    def _play(self, seconds: float) -> Summary:
        self._say("trade", "an app with history attaches the shim and trades on")
        self._app.start()
        self._wait_for(self._ready.exists, "the trading app to start")
        self._url = f"http://127.0.0.1:{json.loads(self._ready.read_text())['port']}"
        self._watch.app_url = self._url
        self._say("carry", f"{self._held()}; relay, projector start")
        self._relay.start()
        self._projector.start()
        self._wait_for(lambda: self._watch.applied > 0, "the first rows")
        began, at_start = time.monotonic(), self._watch.applied

        self._trade(seconds * 0.2)
        self._kill(self._relay)
        self._trade(seconds * 0.2)
        self._kill(self._projector)
        self._trade(seconds * 0.2)
        self._say("savepoint", "the present position gets a name")
        self._command("savepoint", "take", "demo")
        self._trade(seconds * 0.2)
        self._audit("while the app trades on")
        self._trade(seconds * 0.2)
        throughput = (self._watch.applied - at_start) / (time.monotonic() - began)

        self._say("rollback", "tables emptied, replayed to the savepoint; app trades on")
        self._command("replay", "--to-savepoint", "demo")
        held = self._command("audit", "--without-memory")
        rollback = RollbackSummary(held["all_equal"], held["position"], held["rows"])
        self._say("forward", "replay to the end; the projector goes on from there")
        before = time.monotonic()
        replayed = self._command("replay", "--to-end")
        rate = sum(replayed["position"].values()) / (time.monotonic() - before)
        self._audit("after the replay")

        self._say("finish", "trading pauses; everything recorded must arrive")
        httpx.post(f"{self._url}/pause", timeout=5).raise_for_status()
        self._wait_for(self._all_applied, "the tables to hold everything recorded")
        final = self._audit("of the final state")
        return self._summary(final, rollback, throughput, rate)

    def _held(self) -> str:
        counts = httpx.get(f"{self._url}/state", timeout=5).json()["counts"]
        return f"{sum(counts.values()):,} entities, {len(counts)} kinds in memory"

    def _trade(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for process in self._processes:
                process.require_alive()
            time.sleep(0.1)

    def _kill(self, process: Process) -> None:
        self._say("kill -9", f"the {process.name}, in the middle of its work; start it again")
        process.kill()
        self._kills[process.name] += 1
        self._trade(1.0)
        process.start()

    def _command(self, *words: str) -> Any:
        return self._commands.run(*words, *self._with_config)

    def _audit(self, when: str) -> Any:
        self._say("audit", f"memory = log = tables, {when}")
        result = self._command("audit")
        self._audits.append(result["all_equal"])
        return result

    def _heads(self) -> dict[int, int]:
        reader = SqliteOutboxReader(self._outbox)
        try:
            heads = reader.heads()
        finally:
            reader.close()
        return {p: head.seq for p, head in heads.items() if p != CONTROL_PARTITION}

    def _lanes(self) -> dict[int, int]:
        with psycopg.connect(self._dsn, autocommit=True) as conn:
            rows = conn.execute(query("lanes_read"), (self._projection, 1)).fetchall()
        return {partition: seq for source, partition, seq, *_ in rows if source == SOURCE}

    def _all_applied(self) -> bool:
        return self._heads() == self._lanes()

    def _summary(
        self, final: Any, rollback: RollbackSummary, throughput: float, replay_rate: float
    ) -> Summary:
        heads, lanes = self._heads(), self._lanes()
        lost = sum(max(0, seq - lanes.get(p, 0)) for p, seq in heads.items())
        doubled = sum(max(0, seq - heads.get(p, 0)) for p, seq in lanes.items())
        extra = sum(finding["problem"] == "extra" for finding in final["findings"])
        memory = {process.name: round(process.peak_rss_mb, 1) for process in self._processes}
        memory |= {name: round(mb, 1) for name, mb in self._commands.peak_rss_mb.items()}
        return Summary(
            events_recorded=sum(heads.values()),
            events_applied=sum(lanes.values()),
            events_lost=lost,
            events_duplicated=doubled + extra,
            resends_skipped=final["duplicates_in_log"],
            throughput_events_per_s=round(throughput, 1),
            replay_events_per_s=round(replay_rate, 1),
            audits_equal=self._audits,
            audit=AuditSummary(
                final["equal"],
                final["rows"],
                final["memory_rows"],
                [
                    f"{f['witness']}: {f['table']} {f['key']} {f['problem']}"
                    for f in final["findings"]
                ],
            ),
            rollback=rollback,
            peak_rss_mb=memory,
            kills=self._kills,
            seconds=round(time.monotonic() - self._started, 1),
        )

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not condition():
            for process in self._processes:
                process.require_alive()
            if time.monotonic() > deadline:
                raise DemoStuck(
                    f"waited {_WAIT_S:.0f} s for {what}",
                    where=str(self._directory / "logs"),
                    remedy="read the logs there, then start the demo again",
                )
            time.sleep(0.05)

    def _say(self, step: str, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:5.1f} s  [bold]{step:<9}[/] {text}", highlight=False)
