"""The app's state over HTTP, for this machine alone."""

import contextlib
import socket
from collections.abc import Generator
from itertools import islice

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compose.trading_app.app import TradingApp
from compose.trading_app.controls import Controls

_LIMIT = 100


class Server(uvicorn.Server):
    """uvicorn, but the app's own signal handlers stay."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


class HttpApi:
    """Serves one app. GET /health, /state, /state/KIND?limit=N; POST /stop, /pause, /resume."""

    def __init__(self, app: TradingApp, controls: Controls, port: int) -> None:
        """Listen; connections are answered once `serve` runs. Raises: OSError, the port taken."""
        self._app = app
        self._controls = controls
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/health", self._health),
            Route("/state", self._state),
            Route("/state/{kind}", self._entities),
            Route("/stop", self._stop, methods=["POST"]),
            Route("/pause", self._pause, methods=["POST"]),
            Route("/resume", self._resume, methods=["POST"]),
        ]
        config = uvicorn.Config(
            Starlette(routes=routes), log_config=None, lifespan="off", ws="none", access_log=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = Server(config)

    async def serve(self) -> None:
        """Answer until `close`."""
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """End `serve` soon."""
        self._server.should_exit = True

    async def _health(self, _request: Request) -> Response:
        return _json({"status": "paused" if self._controls.paused else "trading"})

    async def _state(self, _request: Request) -> Response:
        return _json(self._app.state())

    async def _entities(self, request: Request) -> Response:
        """Answer with the newest entities of a kind, the newest first."""
        recording = self._app.desk.recording
        kind = request.path_params["kind"]
        limit = request.query_params.get("limit", str(_LIMIT))
        if kind not in recording.stores:
            known = ", ".join(recording.stores)
            return _json({"error": f"there is no kind {kind!r}; there are: {known}"}, status=404)
        if not limit.isdecimal():
            return _json({"error": f"limit is {limit!r}, not a number"}, status=400)
        return _json(list(islice(reversed(recording.entities(kind)), int(limit))))

    async def _stop(self, _request: Request) -> Response:
        self._controls.stop.set()
        return _json({"status": "stopping"}, status=202)

    async def _pause(self, _request: Request) -> Response:
        self._controls.pause()
        return _json({"status": "paused"})

    async def _resume(self, _request: Request) -> Response:
        self._controls.resume()
        return _json({"status": "trading"})


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")
