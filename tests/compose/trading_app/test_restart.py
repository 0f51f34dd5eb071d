"""The app as a process of its own, with the shim, a real Kafka, and kill -9."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from schemas.settings import Settings


class Process:
    """One start of the app."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self._ready = folder / "ready.json"
        self._ready.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "compose.trading_app", "--config", folder / "memferry.toml",
                "--journal", folder / "journal", "--http", "0", "--ready-file", self._ready,
                "--history", "300", *flags,
            ]
        )  # fmt: skip
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self._port()}")

    def _port(self) -> int:
        while not self._ready.exists():
            assert self.process.poll() is None, "the app ended at its start"
        port: int = json.loads(self._ready.read_text())["port"]
        return port

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.client.get("/state").json()
        return answer

    def wait_for(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the first state of which something holds."""
        state = self.state()
        while not holds(state):
            state = self.state()
        return state

    def pause(self) -> dict[str, Any]:
        """Hold trading; return the state once everything recorded is on disk."""
        self.client.post("/pause")
        return self.wait_for(lambda state: state["shim"]["queue_depth"] == 0)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.client.post("/stop")
        return self.process.wait(timeout=60)


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Return a function that starts the app, always with the same settings and journal."""
    (tmp_path / "memferry.toml").write_text(
        f'source = "{settings.source}"\n'
        f'topic = "{settings.topic}"\n'
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\n'
    )
    started: list[Process] = []

    def run(*flags: str) -> Process:
        started.append(Process(tmp_path, *flags))
        return started[-1]

    yield run
    for process in started:
        process.kill()


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal").read_bytes().splitlines()]


def test_a_killed_app_comes_back_with_all_that_was_recorded(start: Callable[..., Process]) -> None:
    app = start()
    app.wait_for(lambda state: state["bars"] > 600)
    before = app.pause()
    app.kill()

    after = start("--speed", "0.001").state()

    assert after["restored"]
    for name in ("counts", "cash", "equity"):
        assert after[name] == before[name]


def test_a_killed_app_goes_on_and_uses_no_id_twice(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    for least in (301, 500, 700):
        app = start()
        while app.state()["bars"] < least:
            pass
        app.kill()
    app = start()
    app.wait_for(lambda state: state["bars"] > 500)
    assert app.stop() == 0

    lines = journal(tmp_path)
    acknowledged = [line for line in lines if "id" in line]
    assert sum("restarted" in line for line in lines) == 3
    assert len({line["id"] for line in acknowledged}) == len(acknowledged) > 0
    for kind, fields in (
        ("trade.opened", ("trade_id",)),
        ("execution.started", ("execution_id",)),
        ("market_data.bar_received", ("symbol", "opened_at_ns")),
    ):
        made = [x["data"] for x in acknowledged if x["type"] == f"trading.{kind}.v1"]
        keys = {tuple(data[field] for field in fields) for data in made}
        assert len(keys) == len(made) > 0


def test_acknowledged_events_of_a_partition_are_journaled_in_its_order(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    app = start("--laps", "1")
    app.wait_for(lambda state: state["bars"] > 600)
    assert app.stop() == 0

    last: dict[int, int] = {}
    for line in journal(tmp_path):
        if "id" in line:
            assert line["seq"] > last.get(line["partition"], 0)
            last[line["partition"]] = line["seq"]
    assert len(last) > 1
