"""A cable between a client and PostgreSQL that a test can cut at a chosen COMMIT."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Proxy:
    """Carries bytes both ways; cuts once, when the server has answered the COMMIT of that number.

    The client never sees that answer: whether its transaction is committed it cannot know.
    """

    def __init__(self, dsn: str, commit: int) -> None:
        self._server = conninfo_to_dict(dsn)
        self._commit = commit
        self._seen = 0
        self.cut = asyncio.Event()
        self.dsn = ""

    async def carry(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        host, port = str(self._server["host"]), int(str(self._server["port"]))
        server, to_server = await asyncio.open_connection(host, port)
        cutting = asyncio.Event()

        async def upwards() -> None:
            while data := await client.read(65536):
                if b"COMMIT" in data and not self.cut.is_set():
                    self._seen += 1
                    if self._seen == self._commit:
                        cutting.set()
                to_server.write(data)
                await to_server.drain()

        async def downwards() -> None:
            while data := await server.read(65536):
                if cutting.is_set():
                    self.cut.set()
                    return
                to_client.write(data)
                await to_client.drain()

        directions = [asyncio.create_task(upwards()), asyncio.create_task(downwards())]
        await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        for direction in directions:
            direction.cancel()
        await asyncio.gather(*directions, return_exceptions=True)
        for writer in (to_client, to_server):
            writer.close()


@asynccontextmanager
async def proxied(dsn: str, commit: int) -> AsyncIterator[Proxy]:
    """A proxy whose `dsn` leads to the server of `dsn`."""
    proxy = Proxy(dsn, commit)
    listener = await asyncio.start_server(proxy.carry, "127.0.0.1", 0)
    proxy.dsn = make_conninfo(dsn, host="127.0.0.1", port=listener.sockets[0].getsockname()[1])
    try:
        yield proxy
    finally:
        listener.close()
