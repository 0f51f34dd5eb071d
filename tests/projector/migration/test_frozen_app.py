"""SIGSTOP of an app around the cutover: aborted, nothing lost, and a later run finishes."""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from projector.audit.run import audit
from projector.migration.interface import ZeroDowntimeMigration
from projector.route import read_route
from schemas.settings import Migration, Settings
from tests.domains.ledger import DOMAIN
from tests.projector.migration.child import start, trade
from tests.projector.migration.stage import (
    DEADLINE_S,
    Projecting,
    at,
    changed,
    lane_faults,
)
from tests.projector.waiting import until

HASTY = {"max_downtime_ms": 1_500, "cutover_attempts": 1}


class Frozen:
    """Freezes the app now, or in the middle of a fence; thaws it once the fence is aborted."""

    def __init__(self, settings: Settings, pid: int, *, inside: bool) -> None:
        self._settings = settings
        self._pid = pid
        self._inside = inside
        self.failure: list[BaseException] = []
        self.thread = threading.Thread(target=self._work, daemon=True)
        self._begun = threading.Event()

    def begin(self) -> None:
        self.thread.start()
        assert self._begun.wait(DEADLINE_S)

    def _work(self) -> None:
        try:
            with psycopg.connect(self._settings.postgres.dsn, autocommit=True) as conn:
                if self._inside:
                    self._freeze_inside(conn)
                else:
                    os.kill(self._pid, signal.SIGSTOP)
                    self._begun.set()
                until(lambda: self._fence(conn)[0] == "aborted", "the abort", DEADLINE_S)
        except BaseException as error:  # the test says it
            self.failure.append(error)
        finally:
            self._begun.set()
            os.kill(self._pid, signal.SIGCONT)

    def _freeze_inside(self, conn: psycopg.Connection[Any]) -> None:
        with psycopg.connect(self._settings.postgres.dsn) as blocking:
            rows = "SELECT FROM memferry.checkpoint WHERE projection = %s FOR UPDATE"
            blocking.execute(rows, (self._settings.projection,))  # no barrier is applied
            before = self._fence(conn)[2]
            self._begun.set()
            until(lambda: self._fence(conn)[2] > before, "the fence", DEADLINE_S)
            until(lambda: self._fence(conn)[1] == "fenced", "the app's answer", DEADLINE_S)
            os.kill(self._pid, signal.SIGSTOP)

    def _fence(self, conn: psycopg.Connection[Any]) -> tuple[str, str, int]:
        row = conn.execute(
            "SELECT f.state, coalesce(s.state, ''), count(*) OVER () FROM memferry.fence AS f "
            "LEFT JOIN memferry.fence_source AS s ON s.fence = f.id "
            "WHERE projection = %s ORDER BY asked_at DESC LIMIT 1",
            (self._settings.projection,),
        ).fetchone()
        return row or ("", "", 0)


def test_an_app_frozen_around_the_cutover_aborts_it_and_loses_nothing_when_it_wakes(
    make_settings: Callable[..., Settings], database: psycopg.Connection[Any], tmp_path: Path
) -> None:
    patient = Migration(max_downtime_ms=8_000, timeout_ms=20_000)
    settings = make_settings(migration=patient)
    acknowledged = tmp_path / "acknowledged.json"
    app = start(trade, settings, acknowledged)
    assert app.pid is not None
    until(acknowledged.exists, "the app to write", DEADLINE_S)
    projector = Projecting(settings)
    try:
        for inside, said in ((False, "app-1 silent"), (True, "app-1 fenced")):
            frozen = Frozen(settings, app.pid, inside=inside)
            watcher = at("CUTOVER", frozen.begin)
            result = ZeroDowntimeMigration(changed(settings, **HASTY), DOMAIN, watcher).run()
            frozen.thread.join(DEADLINE_S)

            assert not frozen.failure, frozen.failure
            assert (result.state, result.route) == ("undone", "memory")
            assert result.phases[-1].phase == "CUTOVER"
            assert said in result.reason
            assert read_route(database, settings.projection).route == "memory"

        finished = ZeroDowntimeMigration(settings, DOMAIN).run()
        os.kill(app.pid, signal.SIGTERM)
        app.join(DEADLINE_S)
        writes: dict[str, int] = msgspec.json.decode(acknowledged.read_bytes())
        found = asyncio.run(audit(settings, DOMAIN, with_memory=False))
    finally:
        if app.is_alive():
            os.kill(app.pid, signal.SIGCONT)
            app.kill()
        projector.stop()

    assert (finished.state, finished.route) == ("finished", "postgres")
    assert app.exitcode == 0
    assert found.all_equal, found.findings
    rows = dict(
        database.execute(f"SELECT account, balance FROM {settings.projection}.accounts").fetchall()
    )
    assert sum(writes.values()) > 5
    began = {"old-3": 3}
    assert {name: rows[name] for name in writes} == {
        name: began.get(name, 0) + deposits for name, deposits in writes.items()
    }
    assert lane_faults(settings) == []
