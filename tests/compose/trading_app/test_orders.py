"""Orders of clients: what opens a trade, what is refused, and when it is answered."""

import asyncio
import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from compose.trading_app.acknowledgement import GROUPS_IN_FLIGHT, Acknowledgement
from compose.trading_app.orders import RECEIPTS_KEPT, Receipts
from eventlog.receipts import Promises, Receipt
from schemas.settings import Settings
from tests.compose.trading_app.running import Running, running
from tests.projector.projecting import projecting

ORDER = {
    "strategy_id": "C-buyer", "symbol": "IBM", "side": "buy", "quantity": "3",
    "limit_price": "1.05",
}  # fmt: skip


async def ordered(app: Running, **changes: Any) -> tuple[int, dict[str, Any]]:
    strategy_id = (await app.get("/strategies/running"))[0]["strategy_id"]
    order = ORDER | {"strategy_id": strategy_id} | changes
    answer = await app.client.post("/orders", json=order)
    return answer.status_code, answer.json()


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> Path:
    """The file of an app whose reads may go to PostgreSQL."""
    path = tmp_path / "memferry.toml"
    path.write_text(
        f'source = "{settings.source}"\ntopic = "{settings.topic}"\n'
        f'projection = "{settings.projection}"\n'
        f'[kafka]\nbootstrap = "{settings.kafka.bootstrap}"\npartitions = 3\n'
        f'[postgres]\ndsn = "{settings.postgres.dsn}"\n'
    )
    return path


async def test_an_order_opens_a_trade_at_the_newest_bars_time(tmp_path: Path) -> None:
    async with running(tmp_path, history=20, speed=0.001) as app:
        status, placed = await ordered(app)
        trade = placed["trade"]
        (bar,) = await app.get("/bars/IBM", limit=1)

        assert status == 201
        assert await app.get(f"/state/trade/{trade['trade_id']}") == trade
        assert trade in await app.get("/trades/open/IBM")
        assert (trade["status"], trade["quantity"], trade["side"]) == ("open", "3", "buy")
        assert trade["opened_at_ns"] == bar["opened_at_ns"]
        assert placed["stream"] == f"trade/{trade['trade_id']}"
        assert placed["seq"] is placed["event_id"] is None


async def test_the_engine_goes_on_with_a_clients_order(tmp_path: Path) -> None:
    async with running(tmp_path, history=20, speed=500) as app:
        for strategy in await app.get("/strategies/running"):
            mine = {"strategy_id": strategy["strategy_id"], "limit_price": "9999", "quantity": "1"}
            status, placed = await ordered(app, **mine)
            if status == 201:  # others may have a trade of their own going on
                break
        path = f"/state/trade/{placed['trade']['trade_id']}"
        async with asyncio.timeout(10):
            while (await app.get(path))["status"] == "open":
                pass


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"side": "hold"}, 400, "Invalid enum value 'hold' - at `$.side`"),
        ({"quantity": "none"}, 400, "`$.quantity`"),
        ({"quantity": "0"}, 400, "quantity is 0, not whole shares"),
        ({"quantity": "1.5"}, 400, "quantity is 1.5, not whole shares"),
        ({"quantity": "-1"}, 400, "not whole shares"),
        ({"quantity": "NaN"}, 400, "not whole shares"),
        ({"quantity": "1E+999999"}, 400, "not whole shares"),
        ({"limit_price": "0"}, 400, "limit_price is 0, not cents"),
        ({"limit_price": "1.001"}, 400, "not cents"),
        ({"limit_price": "1E-999999"}, 400, "not cents"),
        ({"symbol": "TSLA"}, 400, "no price is known for TSLA"),
        ({"symbol": "a b"}, 400, "`$.symbol`"),
        ({"strategy_id": "S-none"}, 400, "there is no strategy S-none"),
        ({"colour": "red"}, 400, "unknown field `colour`"),
        ({"quantity": "1000000", "limit_price": "1000000"}, 409, "the order needs"),
    ],
)
async def test_what_cannot_be_ordered_is_refused_and_changes_nothing(
    tmp_path: Path, changes: dict[str, Any], status: int, said: str
) -> None:
    async with running(tmp_path, history=20, speed=0.001) as app:
        before = await app.state()
        answered = await ordered(app, **changes)
        after = await app.state()

    assert (answered[0], said in answered[1]["error"]) == (status, True), answered
    assert before["events"] == after["events"]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff"])
async def test_what_is_no_order_at_all_is_refused(tmp_path: Path, body: bytes) -> None:
    async with running(tmp_path, history=5, speed=0.001) as app:
        answer = await app.client.post("/orders", content=body)

    assert answer.status_code == 400
    assert "this is no order" in answer.json()["error"]


async def test_a_strategy_has_one_live_trade_a_symbol(tmp_path: Path) -> None:
    async with running(tmp_path, history=20, speed=0.001) as app:
        await ordered(app)
        status, answer = await ordered(app)

    assert status == 409
    assert "has a trade in IBM going on" in answer["error"]


async def test_an_order_is_answered_once_durable_and_seen_in_the_tables_behind_its_event(
    tmp_path: Path, settings: Settings, config: Path
) -> None:
    journal = tmp_path / "journal"
    flags = {"history": 20, "speed": 0.001, "config": config, "journal": journal}
    async with running(tmp_path, **flags) as app, projecting_trades(settings):
        status, placed = await ordered(app)
        trade = placed["trade"]
        held = await app.client.get(f"/state/trade/{trade['trade_id']}")

        assert status == 201
        assert placed["seq"] > 0
        assert held.json() == trade
        assert held.headers["memferry-route"] == "memory"
        after = await app.client.get("/trades/open/IBM", params={"after": placed["event_id"]})
        assert trade in after.json()
    lines = [json.loads(line) for line in journal.read_bytes().splitlines()]
    assert placed["event_id"] in {line.get("id") for line in lines}


async def test_reads_follow_the_route_that_the_database_says(
    tmp_path: Path, settings: Settings, config: Path, database: psycopg.Connection[Any]
) -> None:
    flags = {"history": 20, "speed": 0.001, "config": config}
    async with projecting_trades(settings), running(tmp_path, **flags) as app:
        before = await app.get("/state/trade")
        status, placed = await ordered(app)
        assert status == 201
        database.execute(
            "INSERT INTO memferry.route VALUES (%s, 'postgres', 2, 1, now(), 'a test')",
            (settings.projection,),
        )
        database.execute("NOTIFY memferry_route")
        trade, query = placed["trade"], {"after": placed["event_id"]}
        async with asyncio.timeout(10):
            while True:
                answer = await app.client.get(f"/state/trade/{trade['trade_id']}", params=query)
                if answer.headers["memferry-route"] == "postgres":
                    break

        assert answer.json() == trade
        held = await app.get("/state/trade")
        assert sorted(held, key=str) == sorted([*before, trade], key=str)
        for path in ("/bars/IBM", "/strategies/running", "/portfolios/main", "/trades/open/IBM"):
            assert (await app.client.get(path)).headers["memferry-route"] == "postgres"


def projecting_trades(settings: Settings) -> Any:
    from schemas.trading import DOMAIN

    return projecting(settings, DOMAIN)


def test_the_receipts_kept_are_the_newest() -> None:
    receipts = Receipts()
    promises = Promises()
    made = [Receipt(promises, str(n), 0, "trade/T-1", b"", b"") for n in range(RECEIPTS_KEPT + 2)]
    for receipt in made:
        receipts.keep(receipt)

    assert receipts.get("0") is receipts.get("1") is None
    assert receipts.get("2") is made[2]
    assert receipts.get(str(RECEIPTS_KEPT + 1)) is made[-1]


async def test_groups_are_acknowledged_in_the_order_recorded_however_many_wait() -> None:
    acknowledgement = Acknowledgement("app-1", None)
    order: list[int] = []

    async def hand_over(number: int) -> None:
        await acknowledgement.add([number])  # type: ignore[list-item]
        order.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(GROUPS_IN_FLIGHT + 4):
            tasks.create_task(hand_over(number))
        groups = acknowledgement._groups
        taken: list[Any] = []
        while len(taken) < GROUPS_IN_FLIGHT + 4:
            taken += await groups.get()
            if len(taken) == 1:
                tasks.create_task(hand_over(99))

    assert taken == list(range(GROUPS_IN_FLIGHT + 4))
