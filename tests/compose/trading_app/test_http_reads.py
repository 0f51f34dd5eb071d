"""Entities over HTTP, from memory: what is asked, what is answered, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from tests.compose.trading_app.running import Running, running


async def test_entities_are_served_page_by_page_in_the_order_of_their_keys(tmp_path: Path) -> None:
    async with running(tmp_path, history=500, speed=0.001) as app:
        everything = await app.get("/state/execution", limit=9999)
        paged: list[Any] = []
        query: dict[str, Any] = {"limit": 70}
        while query:
            answer = await app.client.get("/state/execution", params=query)
            paged += answer.json()
            behind = answer.headers.get("memferry-next")
            query = {"limit": 70, "from": behind} if behind else {}

    ids = [execution["execution_id"] for execution in everything]
    assert ids == sorted(ids)
    assert len(ids) > 200
    assert paged == everything


async def test_keys_of_several_parts_are_joined_by_a_slash(tmp_path: Path) -> None:
    async with running(tmp_path, history=500, speed=0.001) as app:
        first, second = await app.get("/state/market_data", limit=2)
        key = f"{first['symbol']}/{first['opened_at']}"

        assert await app.get(f"/state/market_data/{key}") == first
        assert await app.get("/state/market_data", **{"from": key, "limit": 1}) == [second]


async def test_the_questions_of_clients_are_answered(tmp_path: Path) -> None:
    async with running(tmp_path, history=531, speed=0.001) as app:
        trades = await app.get("/state/trade", limit=9999)
        symbol = "IBM"
        waiting = [
            t for t in trades
            if t["symbol"] == symbol and t["status"] in {"open", "partially_filled"}
        ]  # fmt: skip
        assert {t["status"] for t in waiting} == {"open", "partially_filled"}
        executions = await app.get("/state/execution", limit=9999)
        mine = [e for e in executions if e["strategy_id"] == "S-breakout-20"]
        strategies = await app.get("/state/strategy")
        portfolios = await app.get("/state/portfolio", limit=9999)
        bars = await app.get("/state/market_data", limit=9999)

        assert await app.get(f"/trades/open/{symbol}") == waiting
        assert await app.get("/executions/S-breakout-20", limit=5) == mine[:5]
        running_now = await app.get("/strategies/running")
        assert running_now == [s for s in strategies if s["status"] == "running"] != []
        assert await app.get("/portfolios/main") == portfolios[-1]
        newest = await app.get("/bars/AAPL", limit=3)
        assert newest == [bar for bar in bars if bar["symbol"] == "AAPL"][-3:]
        assert await app.get(f"/state/trade/{trades[0]['trade_id']}") == trades[0]


async def test_an_app_without_the_shim_reads_memory_and_says_so(tmp_path: Path) -> None:
    async with running(tmp_path, history=50, speed=0.001) as app:
        for path in ("/state/trade", "/strategies/running", "/bars/AAPL"):
            assert (await app.client.get(path)).headers["memferry-route"] == "memory"


async def refused(app: Running, path: str, **query: Any) -> tuple[int, str]:
    answer = await app.client.get(path, params=query)
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("/state/orders", {}, 404, "there are: market_data, strategy, trade"),
        ("/state/orders/1", {}, 404, "there is no kind"),
        ("/state/trade/T-0", {}, 404, "there is no trade 'T-0'"),
        ("/portfolios/nobody", {}, 404, "there is no portfolio"),
        ("/state/trade", {"limit": "many"}, 400, "limit is 'many'"),
        ("/state/trade", {"limit": "10001"}, 400, "limit is '10001'"),
        ("/bars/IBM", {"limit": "-1"}, 400, "limit is '-1'"),
        ("/state/market_data/IBM", {}, 400, "'IBM' is no key"),
        ("/state/market_data/IBM/monday", {}, 400, "opened_at cannot be 'monday'"),
        ("/state/market_data", {"from": "IBM/2020"}, 400, "opened_at cannot be"),
        ("/state/trade", {"after": "0190"}, 400, "no event whose receipt is kept"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    tmp_path: Path, path: str, query: dict[str, str], status: int, said: str
) -> None:
    async with running(tmp_path, history=5, speed=0.001) as app:
        answered = await refused(app, path, **query)

    assert answered[0] == status
    assert said in answered[1]
