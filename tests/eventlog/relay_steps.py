"""What tests of the relay do: record, copy the outbox, relay up to a row."""

import asyncio
import shutil
from pathlib import Path

from eventlog.outbox.tail import Tail
from eventlog.relay import Relay
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App, opened
from tests.eventlog.broker import app_without_relay, make_topics


def with_topics(settings: Settings) -> Settings:
    """Make the settings' topics."""
    make_topics(settings)
    return settings


def left_behind(settings: Settings) -> App:
    """Return a closed app with forty events and more in its outbox."""
    made = app_without_relay(settings)
    record(made, 0, 40)
    made.close()
    return made


def record(app: App, first: int, count: int) -> None:
    """Record events, and one control event in the middle of them."""
    app.ferry.record_all([opened(str(n)) for n in range(first, first + count // 2)])
    app.ferry.place_barrier(f"b-{first}", "audit")
    app.ferry.snapshot()
    app.ferry.record_all([opened(str(n)) for n in range(first + count // 2, first + count)])[
        -1
    ].durable(DEADLINE_S)


def copy_outbox(path: Path, name: str) -> Path:
    """Copy a closed outbox, as a careless backup would."""
    target = path.with_name(name)
    shutil.copy(path, target)
    return target


async def relay_until(settings: Settings, row: int, tail: Tail | None = None) -> list[int]:
    """Relay until a row is acknowledged; return every mark."""
    marks: list[int] = []
    reached = asyncio.Event()

    def on_mark(newest: int) -> None:
        marks.append(newest)
        if newest >= row:
            reached.set()

    relay = Relay(settings, on_mark, tail=tail)
    running = asyncio.create_task(relay.run())
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait({running, waiting}, timeout=DEADLINE_S, return_when="FIRST_COMPLETED")
    relay.stop()
    waiting.cancel()
    await asyncio.wait_for(running, DEADLINE_S)
    return marks
