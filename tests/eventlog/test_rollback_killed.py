"""Killed around the commit of a rollback's marks: memory comes back the old one or the new one."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.eventlog.app import App, account, deposited, fold, opened, require_whole_lanes, rows_of
from tests.eventlog.rolling import counting


@pytest.mark.parametrize(
    ("point", "decided"),
    [("before commit", False), ("within memory", True)],
)
def test_what_the_disk_has_decides(
    point: str, decided: bool, tmp_path: Path, make_app: Callable[..., App]
) -> None:
    child = subprocess.run(
        [sys.executable, "-m", "tests.eventlog.rolling_child", point, str(tmp_path)],
        check=False,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL

    app = make_app()

    accounts = {"a": account("a")} if decided else {"a": account("a", 5), "b": account("b")}
    assert app.accounts == accounts
    assert bool(app.ferry.voids) == decided
    app.ferry.record(opened("b") if decided else deposited("b", 1, 1)).durable(10)
    rows = rows_of(app.path)
    require_whole_lanes(rows)
    assert fold(counting(rows)) == app.memory()
