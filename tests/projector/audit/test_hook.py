"""The operator's program: run with the report, and unable to do the job any harm."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from projector.audit.hook import Alert, program_of, run_hook
from schemas.settings import Audit, Settings
from tests.projector.audit.reported import BEGUN, finding, report
from tests.projector.projecting import eventually

ALERT = Alert("1", "p", "audit", "findings", BEGUN, 1.5, "", report(finding("tables.differs", "a")))
Hooked = Callable[[str], Settings]


@pytest.fixture
def hooked(tmp_path: Path) -> Hooked:
    """Return settings with a Python program for a hook."""

    def make(program: str) -> Settings:
        hook = tmp_path / "hook"
        hook.write_text(f"#!{sys.executable}\nimport os, sys\n{program}\n")
        hook.chmod(0o755)
        return Settings(directory=str(tmp_path), audit=Audit(hook="./hook"))

    return make


async def test_it_is_given_the_report_as_json(hooked: Hooked, tmp_path: Path) -> None:
    settings = hooked("open(__file__ + '.out', 'w').write(sys.stdin.read())")

    assert await run_hook(settings, ALERT)

    assert msgspec.json.decode((tmp_path / "hook.out").read_bytes(), type=Alert) == ALERT


async def test_it_is_no_shells_command_line(tmp_path: Path) -> None:
    settings = Settings(directory=str(tmp_path), audit=Audit(hook=f"/bin/touch {tmp_path}/made"))

    assert not await run_hook(settings, ALERT)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("sys.exit('[bold] no mail')", "ended with 1: [bold] no mail"),
        ("os.close(0); sys.exit(3)", "ended with 3"),
        ("os.kill(os.getpid(), 9)", "ended with -9"),
    ],
)
async def test_one_that_fails_is_logged(
    hooked: Hooked, caplog: pytest.LogCaptureFixture, program: str, said: str
) -> None:
    with caplog.at_level(logging.WARNING):
        assert not await run_hook(hooked(program), ALERT)

    assert said in caplog.text


async def test_one_that_is_not_there_or_is_no_program_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "text").write_text("no program")
    for hook in ("./missing", "./text", "no-such-program-anywhere"):
        settings = Settings(directory=str(tmp_path), audit=Audit(hook=hook))
        with caplog.at_level(logging.WARNING):
            assert not await run_hook(settings, ALERT)

    assert caplog.text.count("cannot be run") == 3


async def test_one_that_does_not_end_is_killed_with_what_it_has_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hook = tmp_path / "hook"
    hook.write_text('#!/bin/sh\nsleep 600 &\necho $$ $! > "$0.pids"\nwait\n')
    hook.chmod(0o755)
    settings = Settings(directory=str(tmp_path), audit=Audit(hook="./hook"))

    with caplog.at_level(logging.WARNING):
        assert not await run_hook(settings, ALERT, timeout_s=1)

    assert "was killed" in caplog.text
    for pid in map(int, (tmp_path / "hook.pids").read_text().split()):
        assert ended(pid)


async def test_one_that_leaves_a_process_behind_keeps_nobody_waiting(
    hooked: Hooked, tmp_path: Path
) -> None:
    settings = hooked(
        "import signal\n"
        "if os.fork(): sys.exit()\n"
        "os.setsid()\n"
        "open(__file__ + '.pid', 'w').write(str(os.getpid()))\n"
        "signal.pause()"
    )

    try:
        assert await asyncio.wait_for(run_hook(settings, ALERT), 20)
    finally:
        left = tmp_path / "hook.pid"
        await eventually(lambda: left.exists() and left.read_text(), "the process left behind")
        os.kill(int(left.read_text()), signal.SIGKILL)


def ended(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                continue
        return True
    return False


def test_a_path_starts_at_the_settings_and_a_name_is_looked_for(tmp_path: Path) -> None:
    def of(hook: str) -> str:
        return program_of(Settings(directory=str(tmp_path), audit=Audit(hook=hook)))

    assert of("hooks/mail") == str(tmp_path / "hooks/mail")
    assert of("/bin/true") == os.path.realpath("/bin/true")
    assert of("notify") == "notify"
