"""The app over HTTP, for this machine alone: its state, its entities, orders, and its controls."""

import contextlib
import socket
from collections.abc import Generator

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compose.trading_app.acknowledgement import Acknowledgement
from compose.trading_app.app import TradingApp
from compose.trading_app.controls import Controls
from compose.trading_app.http_reads import HttpReads, Refused, json, on_refused
from compose.trading_app.orders import Order, OrderEntry, OrderInvalid, OrderRefused
from schemas.errors import FerryError

_decode_order = msgspec.json.Decoder(Order).decode


class Server(uvicorn.Server):
    """uvicorn, but the app's own signal handlers stay."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals alone."""
        yield


class HttpApi:
    """Serves one app. GET /health, /state, and what `HttpReads` serves; POST /orders, /stop, …"""

    def __init__(self, app: TradingApp, controls: Controls, port: int) -> None:
        """Listen; connections are answered once `serve` runs. Raises: OSError, the port taken."""
        self._app = app
        self._controls = controls
        self._orders = OrderEntry(app.desk)
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port: int = self._socket.getsockname()[1]
        routes = [
            Route("/health", self._health),
            Route("/state", self._state),
            *HttpReads(app.desk.recording, self._orders.receipts).routes,
            Route("/orders", self._order, methods=["POST"]),
            Route("/stop", self._stop, methods=["POST"]),
            Route("/pause", self._pause, methods=["POST"]),
            Route("/resume", self._resume, methods=["POST"]),
        ]
        served = Starlette(
            routes=routes, exception_handlers={Refused: on_refused, FerryError: on_refused}
        )
        config = uvicorn.Config(
            served, log_config=None, lifespan="off", ws="none", access_log=False,
            timeout_graceful_shutdown=2,
        )  # fmt: skip
        self._server = Server(config)

    async def serve(self, acknowledgement: Acknowledgement | None) -> None:
        """Answer until `close`; orders go to the acknowledgement, as all that is recorded."""
        self._orders.acknowledgement = acknowledgement
        await self._server.serve(sockets=[self._socket])

    def close(self) -> None:
        """End `serve` soon."""
        self._server.should_exit = True

    async def _health(self, _request: Request) -> Response:
        return json({"status": "paused" if self._controls.paused else "trading"})

    async def _state(self, _request: Request) -> Response:
        return json(self._app.state())

    async def _order(self, request: Request) -> Response:
        """Open a trade; answer with it, its stream and seq once it is durable."""
        try:
            placed = await self._orders.place(_decode_order(await request.body()))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise Refused(400, f"this is no order: {error}") from error
        except OrderInvalid as error:
            raise Refused(400, str(error)) from error
        except OrderRefused as error:
            raise Refused(409, str(error)) from error
        return json(placed, status=201)

    async def _stop(self, _request: Request) -> Response:
        self._controls.stop.set()
        return json({"status": "stopping"}, status=202)

    async def _pause(self, _request: Request) -> Response:
        self._controls.pause()
        return json({"status": "paused"})

    async def _resume(self, _request: Request) -> Response:
        self._controls.resume()
        return json({"status": "trading"})
