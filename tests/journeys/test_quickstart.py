"""The quickstart as it stands, on the real stack: migrated, audited, rolled back, restarted."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from compose.demo.processes import MEMFERRY
from schemas.settings import Settings

ROOT = Path(__file__).parents[2]
QUICKSTART = ROOT / "docs" / "quickstart.py"
_DEADLINE_S = 90


class Desk:
    """A directory with memferry.toml, the app, the projector, and the commands of an operator."""

    def __init__(self, directory: Path, settings: Settings) -> None:
        self._directory = directory
        self.schema = settings.projection
        self.dsn = settings.postgres.dsn
        self._environment = os.environ | {
            "MEMFERRY_KAFKA_BOOTSTRAP": settings.kafka.bootstrap,
            "MEMFERRY_POSTGRES_DSN": settings.postgres.dsn,
            "MEMFERRY_PROJECTION": settings.projection,
        }
        self._running: list[subprocess.Popen[str]] = []
        toml = f'source = "desk-1"\ntopic = "{settings.topic}"\n'
        (directory / "memferry.toml").write_text(toml, encoding="utf-8")

    def start(self, *words: str) -> subprocess.Popen[str]:
        self._running.append(
            subprocess.Popen(
                words, cwd=self._directory, env=self._environment,
                stdout=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return self._running[-1]

    def app(self, trades: int) -> subprocess.Popen[str]:
        app = self.start(sys.executable, str(QUICKSTART), "--trades", str(trades))
        assert app.stdout is not None
        self.said = app.stdout.readline()
        return app

    def memferry(self, *words: str) -> Any:
        done = subprocess.run(
            [*MEMFERRY, *words, "--json"], cwd=self._directory,
            env=self._environment, capture_output=True, text=True, timeout=_DEADLINE_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.dsn, options=f"-c search_path={self.schema}") as conn:
            return conn.execute(statement).fetchall()

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.communicate()


@pytest.fixture
def desk(make_settings: Callable[..., Settings], tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path, make_settings())
    yield desk
    desk.close()


def test_the_quickstart_is_migrated_audited_rolled_back_and_restarted(desk: Desk) -> None:
    app = desk.app(100_000)
    assert desk.said == "holding 0 shares\n"
    desk.start(*MEMFERRY, "project")

    migrated = desk.memferry("migrate", "--zero-downtime")

    assert migrated["state"] == "finished"
    audited = desk.memferry("audit")
    assert audited["findings"] == []
    assert set(audited["equal"]) == {"positions", "trades"}
    back = desk.memferry("switch-back")
    assert back["route"] == "memory"
    desk.memferry("savepoint", "take", "before-friday")
    desk.memferry("rollback", "--to-savepoint", "before-friday", "--yes")
    held = desk.rows("SELECT count(*) FROM trades")
    desk.memferry("resume")
    app.kill()  # with nothing flushed but what was acknowledged
    app.wait(_DEADLINE_S)
    again = desk.app(20)
    assert again.wait(_DEADLINE_S) == 0
    final = desk.memferry("audit", "--without-memory")

    assert final["findings"] == []
    ((trades, shares),) = desk.rows(
        "SELECT (SELECT count(*) FROM trades), (SELECT sum(quantity) FROM positions)"
    )
    assert held[0][0] < trades
    # Killed between a position and its trade, the app holds a share more than it has trades.
    assert trades <= shares <= trades + 1
    held_at_start = Decimal(desk.said.split()[1])
    assert held_at_start == shares - 20
