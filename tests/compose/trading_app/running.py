"""The app in this process, with HTTP."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from compose.trading_app.app import State
from compose.trading_app.controls import Controls
from compose.trading_app.options import Options
from compose.trading_app.service import serve


class Running:
    """A client, and the task that ends with the app."""

    def __init__(self, client: httpx.AsyncClient, ended: "asyncio.Task[State]", pid: int) -> None:
        self.client = client
        self.ended = ended
        self.pid = pid

    async def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self.client.get("/state")).json()
        return answer

    async def get(self, path: str, **query: Any) -> Any:
        """Return what is answered with 200."""
        answer = await self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def running(folder: Path, **flags: Any) -> AsyncIterator[Running]:
    ready = folder / "ready.json"
    options = Options(http=0, ready_file=ready, **flags)
    task = asyncio.create_task(serve(options, Controls()))
    while not ready.exists() and not task.done():
        await asyncio.sleep(0)
    place = json.loads(ready.read_text())
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{place['port']}", timeout=30
    ) as client:
        app = Running(client, task, place["pid"])
        try:
            yield app
        finally:
            if not task.done():
                await client.post("/stop")
            await task
