"""The app's entities over HTTP: asked of the repositories, each answer saying who gave it."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from compose.trading_app.orders import Receipts
from compose.trading_app.recording import Recording
from compose.trading_app.repositories import Repositories
from eventlog import ReceiptTimeout
from eventlog.reads.question import QuestionInvalid
from eventlog.reads.unavailable import ReadUnavailable
from eventlog.receipts import AppliedEnded, Capability
from schemas.errors import FerryError
from schemas.tables import key_text

LIMIT = 100
LIMIT_MAX = 10_000


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, error: str) -> None:
        self.status = status
        super().__init__(error)


class HttpReads:
    """Every answer has the header `memferry-route`: memory, shadow or postgres.

    `?after=EVENT_ID`, of a receipt given out lately: the answer shows that event.
    """

    def __init__(self, recording: Recording, receipts: Receipts) -> None:
        self._recording = recording
        self._receipts = receipts
        self.routes = [
            Route("/state/{kind}", self._page),
            Route("/state/{kind}/{key:path}", self._one),
            Route("/bars/{symbol:path}", self._bars),
            Route("/strategies/running", self._running),
            Route("/trades/open/{symbol:path}", self._open_trades),
            Route("/executions/{strategy_id:path}", self._executions),
            Route("/portfolios/{account:path}", self._portfolio),
        ]

    async def _page(self, request: Request) -> Response:
        """Answer with entities of a kind by key, from behind the key `from`, at most `limit`."""
        limit = _limit(request)
        behind = request.query_params.get("from")

        def ask(repositories: Repositories) -> tuple[Any, dict[str, str]]:
            reader = self._reader(repositories, request)
            start = None if behind is None else reader.key_of_text(behind)
            found = reader.page(start, limit)
            if not found or len(found) < limit:
                return found, {}
            key = reader.kind.key_getter()(found[-1])
            parts = key if len(reader.kind.key) > 1 else (key,)
            return found, {"memferry-next": key_text(parts)}

        return await self._answer(request, ask)

    async def _one(self, request: Request) -> Response:
        """Answer with the entity of a key, its parts joined by `/`."""

        def ask(repositories: Repositories) -> tuple[Any, dict[str, str]]:
            reader = self._reader(repositories, request)
            entity = reader.get(reader.key_of_text(request.path_params["key"]))
            if entity is None:
                raise Refused(404, f"there is no {reader.kind.name} {request.path_params['key']!r}")
            return entity, {}

        return await self._answer(request, ask)

    async def _bars(self, request: Request) -> Response:
        symbol, limit = request.path_params["symbol"], _limit(request)
        return await self._list(request, lambda r: r.market_data.newest(symbol, limit))

    async def _running(self, request: Request) -> Response:
        return await self._list(request, lambda r: r.strategies.running())

    async def _open_trades(self, request: Request) -> Response:
        symbol = request.path_params["symbol"]
        return await self._list(request, lambda r: r.trades.open(symbol))

    async def _executions(self, request: Request) -> Response:
        strategy_id, limit = request.path_params["strategy_id"], _limit(request)
        return await self._list(request, lambda r: r.executions.of_strategy(strategy_id, limit))

    async def _portfolio(self, request: Request) -> Response:
        account = request.path_params["account"]

        def ask(repositories: Repositories) -> tuple[Any, dict[str, str]]:
            found = repositories.portfolios.newest(account)
            if found is None:
                raise Refused(404, f"there is no portfolio of account {account!r}")
            return found, {}

        return await self._answer(request, ask)

    # --- answers

    def _reader(self, repositories: Repositories, request: Request) -> Any:
        readers = repositories.by_kind()
        kind = request.path_params["kind"]
        if kind not in readers:
            raise Refused(404, f"there is no kind {kind!r}; there are: {', '.join(readers)}")
        return readers[kind]

    async def _list(self, request: Request, ask: Callable[[Repositories], Any]) -> Response:
        return await self._answer(request, lambda repositories: (ask(repositories), {}))

    async def _answer(
        self, request: Request, ask: Callable[[Repositories], tuple[Any, dict[str, str]]]
    ) -> Response:
        after = None
        event_id = request.query_params.get("after")
        if event_id is not None:
            after = self._receipts.get(event_id)
            if after is None:
                raise Refused(400, f"after is {event_id!r}, no event whose receipt is kept here")
        repositories = Repositories(self._recording.reader, after)
        try:
            found, headers = await asyncio.to_thread(ask, repositories)
        except QuestionInvalid as error:
            raise Refused(400, str(error)) from error
        except (ReadUnavailable, ReceiptTimeout, AppliedEnded, Capability) as error:
            raise Refused(503, str(error)) from error
        return json(found, headers={"memferry-route": repositories.route, **headers})


def _limit(request: Request) -> int:
    limit = request.query_params.get("limit", str(LIMIT))
    if not limit.isdecimal() or int(limit[:9]) > LIMIT_MAX:
        raise Refused(400, f"limit is {limit[:20]!r}, not a number up to {LIMIT_MAX}")
    return int(limit)


def json(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return an answer."""
    text = msgspec.json.encode(content)
    return Response(text, status, headers, media_type="application/json")


async def on_refused(_request: Request, error: Exception) -> Response:
    """Answer with why a request was refused."""
    assert isinstance(error, Refused | FerryError)  # noqa: S101  (registered for these)
    return json({"error": str(error)}, error.status if isinstance(error, Refused) else 503)
