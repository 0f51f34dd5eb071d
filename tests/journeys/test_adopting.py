"""An app that already holds state comes to its shim: at a restart, or while it trades."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from eventlog.extraction.importing import import_file
from projector.migration.interface import ZeroDowntimeMigration
from schemas.settings import Migration, Settings
from tests.domains.ledger import DOMAIN, Account
from tests.journeys.plain_desk import NAMES
from tests.projector.migration.stage import DEADLINE_S, Projecting
from tests.projector.waiting import until

ROOT = Path(__file__).parents[2]
SHIM, DUMPING = "tests.journeys.plugins.shim", "tests.journeys.plugins.dumping"


class RunningDesk:
    """The desk's process, told by lines."""

    def __init__(self, settings: Settings, dump: Path) -> None:
        told = {"DESK_SETTINGS": msgspec.json.encode(settings).decode(), "DESK_DUMP": str(dump)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.journeys.plain_desk"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True,
            env=os.environ | told,
        )  # fmt: skip

    def tell(self, line: str) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return msgspec.json.decode(self.process.stdout.readline())

    def traded(self, deposits: int = 50) -> None:
        """Wait for more deposits."""
        before = self.tell("count")
        until(lambda: self.tell("count") >= before + deposits, "deposits", DEADLINE_S)

    def end(self) -> dict[str, Account]:
        """Let it come to its end; return what it held."""
        self.tell("end")
        held = msgspec.convert(self.tell("accounts"), dict[str, Account])
        self.process.communicate(timeout=DEADLINE_S)
        return held


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(migration=Migration(max_downtime_ms=8_000, timeout_ms=30_000))


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Callable[[], RunningDesk]]:
    desks: list[RunningDesk] = []

    def begin() -> RunningDesk:
        desks.append(RunningDesk(settings, tmp_path / "desk.jsonl.gz"))
        return desks[-1]

    yield begin
    for desk in desks:
        if desk.process.poll() is None:
            desk.process.kill()
            desk.process.wait(DEADLINE_S)


@contextmanager
def projecting(settings: Settings) -> Iterator[None]:
    projector = Projecting(settings)
    try:
        yield
    finally:
        projector.stop()


def tables_of(settings: Settings) -> dict[str, Decimal]:
    with psycopg.connect(settings.postgres.dsn) as conn:
        rows = conn.execute(f"SELECT account, balance FROM {settings.projection}.accounts")
        return dict(rows.fetchall())


def require_migrated(settings: Settings, desk: RunningDesk) -> None:
    """Demand that the trading desk migrates, and that memory, log and tables are equal."""
    migration = ZeroDowntimeMigration(settings, DOMAIN)
    result = migration.run()
    assert result.state == "finished", result.reason
    desk.traded()
    assert migration.validate(timeout_s=DEADLINE_S).passed


def test_a_dump_is_imported_at_an_ordinary_restart(
    settings: Settings, start: Callable[[], RunningDesk], tmp_path: Path
) -> None:
    before = start()
    for line in ("open", "trade", f"load {DUMPING}"):
        before.tell(line)
    before.traded()
    held = before.end()

    imported = import_file(settings, DOMAIN, tmp_path / "desk.jsonl.gz")
    after = start()
    after.tell(f"load {SHIM}")
    restored = msgspec.convert(after.tell("accounts"), dict[str, Account])

    assert imported.entities == {"account": len(NAMES)}
    assert restored == held
    with projecting(settings):
        after.tell("trade")
        require_migrated(settings, after)
        last = after.end()
        balances = {name: account.balance for name, account in last.items()}
        assert sum(balances.values()) > sum(account.balance for account in held.values())
        until(lambda: tables_of(settings) == balances, "the tables", DEADLINE_S)


def test_a_shim_is_loaded_into_a_process_that_trades(
    settings: Settings, start: Callable[[], RunningDesk]
) -> None:
    desk = start()
    for line in ("open", "trade"):
        desk.tell(line)
    desk.traded()

    desk.tell(f"load {SHIM}")

    with projecting(settings):
        desk.traded()
        require_migrated(settings, desk)
        deposits, last = desk.tell("count"), desk.end()
        balances = {name: account.balance for name, account in last.items()}
        begun = sum(range(len(NAMES)))
        assert sum(balances.values()) >= begun + deposits * Decimal("0.01")
        until(lambda: tables_of(settings) == balances, "the tables", DEADLINE_S)
