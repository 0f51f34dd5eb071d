"""The demo's story, step by step; every step is what an operator could type."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg
from rich.console import Console

from compose.demo.client import Client
from compose.demo.parts import SOURCE, Parts
from compose.demo.processes import Process
from compose.demo.recording import Chapter, Course, lost_and_doubled
from compose.demo.summary import AuditSummary, RollbackSummary, Summary, SwitchedBack
from compose.demo.watch import Watch
from compose.stack import Stack
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from projector.migration.result import MigrationResult, SwitchResult
from projector.sql import query
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION

_WAIT_S = 30.0


class DemoStuck(FerryError):
    """Something that should have happened did not within its time."""


class Story:
    """One run: its parts, and what it found."""

    def __init__(
        self, stack: Stack, directory: Path, console: Console, speed: float, multiplicity: int
    ) -> None:
        self._console = console
        self._started = time.monotonic()
        self._kills = {"relay": 0, "projector": 0}
        self._audits: list[bool] = []
        self._chapters: list[Chapter] = []
        self._say("start", "Kafka and PostgreSQL")
        self._parts = Parts(stack, directory, speed, multiplicity)

    def run(self, seconds: float) -> tuple[Summary, Course]:
        """Trade for about `seconds` beside all that is to be proved on the way."""
        parts = self._parts
        with Watch(self._console, parts.processes, parts.dsn, parts.projection) as self._watch:
            try:
                return self._play(seconds / 5)
            finally:
                for process in reversed(parts.processes):
                    process.end()

    def _play(self, part: float) -> tuple[Summary, Course]:
        self._start_everything()
        with Client(self._url) as self._client:
            began, at_start = time.monotonic(), self._watch.applied
            self._trade(part)
            self._kill(self._parts.relay)
            self._trade(part)
            throughput = (self._watch.applied - at_start) / (time.monotonic() - began)
            migration = self._migrate()
            self._audit("reads in PostgreSQL, the app trades on")
            self._kill(self._parts.projector)
            self._trade(part)
            self._say("savepoint", "the present position gets a name")
            self._command("savepoint", "take", "demo")
            switched_back = self._switch_back()
            self._trade(part)
            rollback = self._rollback()
            self._trade(part)
            replayed = self._resume()
            self._say("finish", "trading pauses; everything recorded must arrive")
            self._client.stop()
            httpx.post(f"{self._url}/pause", timeout=5).raise_for_status()
        self._wait_for(self._all_applied, "the tables to hold everything recorded")
        final = self._audit("memory = log = tables, of the final state")
        summary = self._summary(final, rollback, migration, switched_back)
        summary.throughput_events_per_s = round(throughput, 1)
        summary.resume_events_per_s = round(replayed, 1)
        course = Course(
            self._started, self._watch.samples, self._client.writes, self._chapters, migration
        )
        return summary, course

    def _start_everything(self) -> None:
        parts = self._parts
        self._say("trade", "an app with history attaches the shim and trades on")
        parts.app.start()
        self._wait_for(parts.ready.exists, "the trading app to start")
        self._url = f"http://127.0.0.1:{json.loads(parts.ready.read_text())['port']}"
        self._watch.app_url = self._url
        self._say("carry", f"{self._held()}; relay, projector start")
        parts.relay.start()
        parts.projector.start()
        self._wait_for(lambda: self._watch.applied > 0, "the first rows")

    def _migrate(self) -> MigrationResult:
        self._say("migrate", "memferry migrate --zero-downtime: ten phases while trading")
        began = time.monotonic()
        found = self._command("migrate", "--zero-downtime")
        result = msgspec.convert(found, MigrationResult)
        for phase in result.phases:
            self._console.print(
                f"           {phase.seconds:5.2f} s  {phase.phase:<24} {phase.outcome}",
                highlight=False,
            )
        if not result.succeeded:
            raise DemoStuck(f"the migration was undone: {result.reason}", remedy=result.next_step)
        self._pause_ms = self._client.longest_ms(began, time.monotonic())
        self._chapters.append(Chapter("reads in PostgreSQL", time.monotonic() - self._started))
        self._say("cutover", f"writers stood still for {result.cutover_pause_ms:.1f} ms")
        return result

    def _switch_back(self) -> SwitchResult:
        self._say("back", "memferry switch-back: reads return to memory")
        result = msgspec.convert(self._command("switch-back"), SwitchResult)
        self._chapters.append(Chapter("reads in memory", time.monotonic() - self._started))
        self._say("memory", f"writers stood still for {result.pause_ms:.1f} ms")
        self._audit("nothing written since the cutover is missing")
        return result

    def _rollback(self) -> RollbackSummary:
        self._say("rollback", "the tables look back to the savepoint; the app trades on")
        found = self._command("rollback", "--to-savepoint", "demo", "--yes")
        self._chapters.append(Chapter("tables look back", time.monotonic() - self._started))
        for table, rows in found["rows"].items():
            before = found["rows_before"][table]
            self._console.print(
                f"           {table:<20} {before:>8,} → {rows:>8,} rows", highlight=False
            )
        held = self._command("audit", "--without-memory")
        return RollbackSummary(
            held["all_equal"], held["position"], found["set_aside"], found["rows_before"],
            found["rows"],
        )  # fmt: skip

    def _resume(self) -> float:
        self._say("resume", "the tables go on from there")
        found = self._command("resume")
        self._chapters.append(Chapter("tables go on", time.monotonic() - self._started))
        return float(found["behind"] / max(found["seconds"], 1e-9))

    def _held(self) -> str:
        counts = httpx.get(f"{self._url}/state", timeout=5).json()["counts"]
        return f"{sum(counts.values()):,} entities, {len(counts)} kinds in memory"

    def _trade(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for process in self._parts.processes:
                process.require_alive()
            time.sleep(0.1)

    def _kill(self, process: Process) -> None:
        self._say("kill -9", f"the {process.name}, in the middle of its work; start it again")
        self._chapters.append(Chapter(f"kill -9 {process.name}", time.monotonic() - self._started))
        process.kill()
        self._kills[process.name] += 1
        self._trade(1.0)
        process.start()

    def _command(self, *words: str) -> Any:
        return self._parts.memferry(*words)

    def _audit(self, when: str) -> Any:
        self._say("audit", when)
        result = self._command("audit")
        self._audits.append(result["all_equal"])
        return result

    def _heads(self) -> dict[int, int]:
        reader = SqliteOutboxReader(self._parts.outbox)
        try:
            heads = reader.heads()
        finally:
            reader.close()
        return {p: head.seq for p, head in heads.items() if p != CONTROL_PARTITION}

    def _lanes(self) -> dict[int, int]:
        with psycopg.connect(self._parts.dsn, autocommit=True) as conn:
            rows = conn.execute(query("lanes_read"), (self._parts.projection, 1)).fetchall()
        return {partition: seq for source, partition, seq, *_ in rows if source == SOURCE}

    def _all_applied(self) -> bool:
        return self._heads() == self._lanes()

    def _summary(
        self,
        final: Any,
        rollback: RollbackSummary,
        migration: MigrationResult,
        switched_back: SwitchResult,
    ) -> Summary:
        heads, lanes = self._heads(), self._lanes()
        lost, doubled = lost_and_doubled(heads, lanes, final["findings"])
        processes, commands = self._parts.processes, self._parts.commands
        memory = {process.name: round(process.peak_rss_mb, 1) for process in processes}
        memory |= {name: round(mb, 1) for name, mb in commands.peak_rss_mb.items()}
        return Summary(
            events_recorded=sum(heads.values()),
            events_applied=sum(lanes.values()),
            events_lost=lost,
            events_duplicated=doubled,
            resends_skipped=final["duplicates_in_log"],
            cutover_pause_ms=migration.cutover_pause_ms or 0.0,
            switch_back_pause_ms=switched_back.pause_ms,
            client_longest_wait_ms=round(self._pause_ms, 1),
            switched_back=SwitchedBack(self._audits[1], switched_back.epoch),
            phases={phase.phase: round(phase.seconds, 3) for phase in migration.phases},
            client_orders=len(self._client.writes),
            client_reads=dict(self._client.reads),
            client_errors=self._client.errors,
            audits_equal=self._audits,
            audit=AuditSummary.of(final),
            rollback=rollback,
            peak_rss_mb=memory,
            kills=self._kills,
            seconds=round(time.monotonic() - self._started, 1),
        )

    def _wait_for(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _WAIT_S
        while not condition():
            for process in self._parts.processes:
                process.require_alive()
            if time.monotonic() > deadline:
                raise DemoStuck(
                    f"waited {_WAIT_S:.0f} s for {what}",
                    where=str(self._parts.directory / "logs"),
                    remedy="read the logs there, then start the demo again",
                )
            time.sleep(0.05)

    def _say(self, step: str, text: str) -> None:
        elapsed = time.monotonic() - self._started
        self._console.print(f"{elapsed:5.1f} s  [bold]{step:<9}[/] {text}", highlight=False)
