"""The running app: trades at its pace, has every group acknowledged, serves HTTP, stops cleanly."""

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import msgspec

from compose.trading_app.acknowledgement import Acknowledgement
from compose.trading_app.app import State, TradingApp
from compose.trading_app.controls import Controls
from compose.trading_app.http_api import HttpApi
from compose.trading_app.journal import Journal
from compose.trading_app.options import Options
from eventlog import Ferry, FerryError
from schemas.settings_file import load_settings

SLICE_SECONDS = 0.01
"""How long trading keeps the event loop for itself."""
_MOST_BARS = 1_000
_SAMPLE_SECONDS = 0.5


async def serve(options: Options, controls: Controls) -> State:
    """Run the app until the tape ends or somebody stops it; return its last state.

    With HTTP it goes on serving after the end of the tape, until it is stopped.
    Raises: FerryError where the shim refuses or fails.
    """
    app = TradingApp(options)
    app.trade_history()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, controls.stop.set)
    loop.add_signal_handler(signal.SIGINT, controls.interrupt)
    api = None if options.http is None else HttpApi(app, controls, options.http)
    journal = _journal(app, options)
    ferry = None if options.config is None else app.attach(load_settings(options.config))
    try:
        await _run(app, options, controls, api, _acknowledgement(ferry, journal))
    except BaseException:
        if ferry is not None:
            with contextlib.suppress(FerryError):  # what failed first is what matters
                ferry.close()
        raise
    else:
        if ferry is not None:
            await asyncio.to_thread(ferry.close)
    finally:
        if journal is not None:
            journal.close()
    return app.state()


def _journal(app: TradingApp, options: Options) -> Journal | None:
    if options.journal is None or options.config is None:
        return None
    recording = app.desk.recording
    return Journal(options.journal, {kind: recording.entities(kind) for kind in recording.stores})


def _acknowledgement(ferry: Ferry | None, journal: Journal | None) -> Acknowledgement | None:
    return None if ferry is None else Acknowledgement(ferry.source, journal)


async def _run(
    app: TradingApp,
    options: Options,
    controls: Controls,
    api: HttpApi | None,
    acknowledgement: Acknowledgement | None,
) -> None:
    async with asyncio.TaskGroup() as tasks:
        helpers = [tasks.create_task(_sample(app))]
        if acknowledgement is not None:
            helpers.append(tasks.create_task(acknowledgement.run()))
        if api is not None:
            serving = tasks.create_task(api.serve(acknowledgement))
        if options.ready_file is not None:
            _say_ready(options.ready_file, api)
        await _trade(app, options.speed, controls, acknowledgement)
        if api is not None:
            await controls.stop.wait()
            api.close()
            await serving  # orders are recorded until then
        if acknowledgement is not None:
            await acknowledgement.complete()
        for helper in helpers:
            helper.cancel()


def _say_ready(path: Path, api: HttpApi | None) -> None:
    """Put the file in place whole: who sees it can read it."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    ready = {"pid": os.getpid(), "port": api.port if api else None}
    unfinished.write_bytes(msgspec.json.encode(ready))
    unfinished.rename(path)


async def _trade(
    app: TradingApp, speed: float, controls: Controls, acknowledgement: Acknowledgement | None
) -> None:
    """Trade bars at `speed` a second, in slices, until the tape ends or the app is to stop."""
    paid_until = time.monotonic()  # the bars due up to then are traded
    while await controls.may_trade():
        await app.desk.recording.until_open()
        now = time.monotonic()
        due = _MOST_BARS
        if speed:
            paid_until = max(paid_until, now - 1)  # after a pause, catch up on one second at most
            due = int((now - paid_until) * speed)
        traded = app.trade(due, until=now + SLICE_SECONDS) if due else 0
        if speed:
            paid_until += traded / speed
        if acknowledgement is not None:
            await acknowledgement.add(app.desk.recording.take_recorded())
        if app.tape_ended:
            return
        wait = paid_until + 1 / speed - time.monotonic() if speed else 0
        if wait > 0:
            await controls.pause_for(wait)
        else:
            await asyncio.sleep(0)


async def _sample(app: TradingApp) -> None:
    while True:
        app.sample()
        await asyncio.sleep(_SAMPLE_SECONDS)
