"""Readers of the tables, who note how long each query took: a process of its own.

Settings and their number as JSON in the first line of standard input; says `ready` once all have
read once, and reads until told to stop; what they waited is JSON on standard output.
"""

import asyncio
import random
import sys
import time
from typing import NamedTuple

import msgspec
import psycopg
from psycopg import sql

from tests.benchmarks.result import peak_rss_mb

_PAUSE_S = (0.0, 0.2)


class Wanted(msgspec.Struct):
    """Whom to be."""

    dsn: str
    projection: str
    readers: int


class Read(NamedTuple):
    """One query, in seconds of the machine's clock: it is compared with PostgreSQL's."""

    began: float
    ended: float

    @property
    def ms(self) -> float:
        """How long the reader waited for it."""
        return (self.ended - self.began) * 1000


class Readings(msgspec.Struct):
    """What the readers saw."""

    reads: list[Read] = []
    errors: list[str] = []
    rss_mb: float = 0.0


async def _read(wanted: Wanted, seen: Readings, ready: asyncio.Barrier) -> None:
    """Read two tables by key, again and again, each in a transaction of its own."""
    trades, strategies = (
        sql.SQL("SELECT * FROM {} WHERE {} = {}").format(
            sql.Identifier(wanted.projection, table), sql.Identifier(column), value
        )
        for table, column, value in (
            ("trades", "trade_id", "T-2"),
            ("strategies", "strategy_id", "S-1"),
        )
    )
    async with await psycopg.AsyncConnection.connect(wanted.dsn, autocommit=True) as conn:
        waited = False
        while True:
            for statement in (trades, strategies):
                began = time.time()
                await conn.execute(statement)
                seen.reads.append(Read(began, time.time()))
            if not waited:
                await ready.wait()
                waited = True
            await asyncio.sleep(random.uniform(*_PAUSE_S))


async def _run(wanted: Wanted) -> Readings:
    seen = Readings()
    ready = asyncio.Barrier(wanted.readers + 1)

    async def one() -> None:
        try:
            await _read(wanted, seen, ready)
        except psycopg.Error as error:
            seen.errors.append(str(error))
            await ready.abort()

    tasks = [asyncio.create_task(one()) for _ in range(wanted.readers)]
    await ready.wait()
    seen.reads.clear()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.readline)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seen.rss_mb = peak_rss_mb()
    return seen


if __name__ == "__main__":
    found = asyncio.run(_run(msgspec.json.decode(sys.stdin.readline(), type=Wanted)))
    sys.stdout.write(msgspec.json.encode(found).decode())
