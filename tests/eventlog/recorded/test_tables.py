"""Collections on the real stack: their tables, an audit over them, memory back from them."""

import asyncio
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import apsw
import msgspec
import psycopg
import pytest
from psycopg import sql

import eventlog
from eventlog.shim import Ferry
from projector.audit.run import audit
from projector.declared import whole_domain
from schemas.domain import load_domain
from schemas.settings import Restart, Settings
from tests.eventlog.recorded.types_in_use import Fill, StructTrade, fill, trade
from tests.projector.projecting import projecting

EMPTY = load_domain("")
DEADLINE_S = 30.0


class Desk:
    """Every collection of one app."""

    def __init__(self, settings: Settings) -> None:
        self.ferry: Ferry = eventlog.attach(settings)
        try:
            self._declare()
        except BaseException:
            self.close()
            raise

    def _declare(self) -> None:
        self.ferry.entity(stream="trade", key="id")(StructTrade)
        self.trades = self.ferry.dict("trades", StructTrade)
        self.limits = self.ferry.dict("limits", Decimal, key_type=int)
        self.queue = self.ferry.list("queue", Fill)
        self.path = self.ferry.deque("path", int)
        self.balances: dict[str, Decimal] = {}
        self.ferry.watch("balances", self.balances, Decimal)
        self.ring = self.ferry.deque("ring", Fill, maxlen=2)

    def trade(self) -> None:
        """Change every collection at its ends and in its middle."""
        self.trades.update({name: trade(StructTrade, name) for name in "abc"})
        self.trades["a"].fills[0].quantity = 7
        self.trades["a"].tags.setdefault("new", []).append(5)
        del self.trades["b"]
        self.limits[3] = Decimal(7)
        self.queue.extend([fill(3), fill(1), fill(2)])
        self.queue.sort(key=lambda one: one.price)
        self.queue[0].quantity = 9
        del self.queue[1]
        self.path.extend(range(4))
        self.path.rotate(1)
        self.path.appendleft(8)
        self.path.pop()
        self.ring.extend([fill(1), fill(2), fill(3)])
        self.ring[0].quantity = 9
        self.ring.appendleft(fill(4))
        self.ring.append(fill(5))
        with self.ferry.mutates("balances"):
            self.balances |= {"EUR": Decimal(1), "BTC": Decimal(2)}
        with self.ferry.mutates("balances"):
            del self.balances["BTC"]

    def memory(self) -> list[Any]:
        return [
            *(dict(self.trades), dict(self.limits), dict(self.balances)),
            *(list(self.queue), list(self.path), list(self.ring)),
        ]

    def close(self) -> None:
        self.ferry.close(DEADLINE_S)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(domain="")


@pytest.fixture
def make_desk() -> Iterator[Callable[[Settings], Desk]]:
    """Return desks that are closed at the end."""
    desks: list[Desk] = []

    def make(settings: Settings) -> Desk:
        desks.append(Desk(settings))
        return desks[-1]

    yield make
    for desk in desks:
        desk.close()


def rows(settings: Settings, table: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(settings.postgres.dsn) as conn:
        statement = sql.SQL("SELECT * FROM {} ORDER BY 1, 2")
        return conn.execute(statement.format(sql.Identifier(settings.projection, table))).fetchall()


async def _applied(desk: Desk) -> None:
    ferry = desk.ferry
    await asyncio.to_thread(ferry.applied_through, ferry.recorded_position(), range(3), DEADLINE_S)


async def test_tables_hold_what_memory_holds_and_memory_comes_back_from_them(
    settings: Settings, make_desk: Callable[[Settings], Desk]
) -> None:
    desk = await asyncio.to_thread(make_desk, settings)
    async with projecting(settings, EMPTY):
        desk.trade()
        await _applied(desk)
        whole = await whole_domain(settings, EMPTY)
        clean = await audit(settings, whole, with_memory=True, timeout_s=DEADLINE_S)
        desk.balances["EUR"] = Decimal(9)  # behind memferry's back
        drifted = await audit(settings, whole, with_memory=True, timeout_s=DEADLINE_S)
        with desk.ferry.mutates("balances"):
            pass
        await _applied(desk)
    memory = desk.memory()
    desk.close()

    assert clean.findings == []
    assert len(drifted.findings) == 1
    assert [row[0] for row in rows(settings, "trades")] == ["a", "c"]
    assert rows(settings, "queue") == [("queue", 0, Decimal(1), 9), ("queue", 1, Decimal(3), 1)]
    assert rows(settings, "path") == [
        ("path", number, value) for number, value in enumerate(desk.path, -1)
    ]
    assert rows(settings, "balances") == [("EUR", Decimal(9))]
    assert [(row[1], row[2]) for row in rows(settings, "ring")] == [
        (0, Decimal(4)), (1, Decimal(2)), (2, Decimal(5)),
    ]  # fmt: skip
    ways, again = await asyncio.to_thread(_restart, settings, make_desk)
    assert again == memory
    assert ways == dict.fromkeys(["trade", "limits", "queue", "path", "balances"], "tables") | {
        "ring": "log"
    }


def _restart(
    settings: Settings, make_desk: Callable[[Settings], Desk]
) -> tuple[dict[str, str], list[Any]]:
    """Bring memory back from the tables: what stands there alone does, a ring is refused."""
    from_tables = msgspec.structs.replace(settings, restart=Restart("tables"))
    with pytest.raises(eventlog.FerryError, match="ring lost"):
        make_desk(from_tables)
    pruned(settings.outbox_path)
    desk = make_desk(settings)
    return dict(desk.ferry.restart.ways), desk.memory()


def pruned(path: Any) -> None:
    """Leave nothing in an outbox that was sent, but its last event."""
    db = apsw.Connection(str(path))
    db.set_busy_timeout(5_000)
    db.execute("DELETE FROM event WHERE partition >= 0 AND row < (SELECT max(row) FROM event)")
    db.close()
