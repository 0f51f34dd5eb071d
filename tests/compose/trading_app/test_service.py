import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from compose.trading_app.app import State
from compose.trading_app.controls import Controls
from compose.trading_app.options import Options
from compose.trading_app.service import serve


class Running:
    """The app in this process, with HTTP."""

    def __init__(self, client: httpx.AsyncClient, ended: "asyncio.Task[State]", pid: int) -> None:
        self.client = client
        self.ended = ended
        self.pid = pid

    async def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.client.get("/state")).json()
        return answer


@asynccontextmanager
async def running(folder: Path, **flags: Any) -> AsyncIterator[Running]:
    ready = folder / "ready.json"
    options = Options(http=0, ready_file=ready, **flags)
    task = asyncio.create_task(serve(options, Controls()))
    while not ready.exists() and not task.done():
        await asyncio.sleep(0)
    place = json.loads(ready.read_text())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place['port']}") as client:
        app = Running(client, task, place["pid"])
        yield app
        if not task.done():
            await client.post("/stop")
        await task


async def test_without_http_the_app_ends_with_the_tape() -> None:
    state = await serve(Options(history=100), Controls())

    assert state.tape_ended
    assert state.bars == 12_154
    assert state.events > 40_000
    assert not state.attached


async def test_the_state_tells_what_the_app_is_doing(tmp_path: Path) -> None:
    async with running(tmp_path, history=50, speed=1000) as app:
        health = (await app.client.get("/health")).json()
        state = await app.state()

    assert health == {"status": "trading"}
    assert state["bars"] >= 50
    assert set(state["counts"]) == {"market_data", "strategy", "trade", "execution", "portfolio"}
    assert state["snapshot"] is None


async def test_a_pause_holds_trading_until_it_is_resumed(tmp_path: Path) -> None:
    async with running(tmp_path, history=50, speed=2000) as app:
        await app.client.post("/pause")
        held = await app.state()
        assert (await app.state())["bars"] == held["bars"]
        assert (await app.client.get("/health")).json() == {"status": "paused"}

        await app.client.post("/resume")
        async with asyncio.timeout(5):
            while (await app.state())["bars"] == held["bars"]:
                pass


async def test_entities_are_served_newest_first(tmp_path: Path) -> None:
    async with running(tmp_path, history=500, speed=1) as app:
        executions = (await app.client.get("/state/execution", params={"limit": 3})).json()
        everything = (await app.client.get("/state/execution", params={"limit": 9999})).json()
        unknown = await app.client.get("/state/orders")
        wrong = await app.client.get("/state/trade", params={"limit": "many"})

    assert executions == everything[:3]
    assert int(executions[0]["execution_id"][2:]) == len(everything)
    assert unknown.status_code == 404
    assert "market_data" in unknown.json()["error"]
    assert wrong.status_code == 400


@pytest.mark.parametrize("how", ["POST /stop", "SIGTERM"])
async def test_the_app_stops_when_asked(tmp_path: Path, how: str) -> None:
    async with running(tmp_path, history=50, speed=5) as app:
        if how == "SIGTERM":
            signal.raise_signal(signal.SIGTERM)
        else:
            await app.client.post("/stop")

        async with asyncio.timeout(5):
            state = await app.ended

    assert not state.tape_ended


async def test_a_speed_is_kept(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    async with running(tmp_path, history=0, speed=200) as app:
        started, first = loop.time(), (await app.state())["bars"]
        while loop.time() < started + 0.5:
            last = (await app.state())["bars"]

    assert last - first <= 200


async def test_a_pause_does_not_outlast_a_stop(tmp_path: Path) -> None:
    async with running(tmp_path, history=50) as app:
        await app.client.post("/pause")
        await app.client.post("/stop")

        async with asyncio.timeout(5):
            await app.ended
