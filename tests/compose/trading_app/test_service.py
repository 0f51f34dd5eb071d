import asyncio
import signal
from pathlib import Path

import pytest

from compose.trading_app.controls import Controls
from compose.trading_app.options import Options
from compose.trading_app.service import serve
from tests.compose.trading_app.running import running


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
