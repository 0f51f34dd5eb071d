import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.compose.cli.conftest import Done, Ledger

PROGRAM = Path(sys.executable).with_name("memferry")
COMMANDS = [
    "audit", "demo", "extract", "migrate", "project", "relay", "replay", "resume", "rollback",
    "savepoint", "stack", "status", "switch-back", "validate",
]  # fmt: skip
LEAVES = [
    ["audit"], ["demo"], ["extract"], ["migrate"], ["project"], ["relay"], ["replay"], ["resume"],
    ["rollback"], ["status"], ["switch-back"], ["validate"],
    ["savepoint", "take"], ["savepoint", "list"],
    ["stack", "up"], ["stack", "down"], ["stack", "env"], ["stack", "status"],
]  # fmt: skip


def test_the_installed_command_shows_all_commands() -> None:
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert all(f"│ {command} " in done.stdout for command in COMMANDS)
    assert done.stderr == ""


@pytest.mark.parametrize("command", LEAVES, ids=" ".join)
def test_every_command_explains_itself_and_its_options(
    memferry: Callable[..., Done], command: list[str]
) -> None:
    done = memferry(*command, "--help")

    assert done.code == 0
    assert done.out.startswith(f"Usage: memferry {' '.join(command)}")
    assert len(done.out.splitlines()) > 2
    assert done.err == ""


@pytest.mark.parametrize(
    "command",
    [
        ["project"],
        ["replay"],
        ["audit"],
        ["status"],
        ["savepoint", "take"],
        ["migrate"],
        ["switch-back"],
        ["rollback"],
        ["resume"],
        ["extract"],
        ["validate"],
    ],
    ids=" ".join,
)
def test_every_command_on_a_projection_takes_the_common_options(
    memferry: Callable[..., Done], command: list[str]
) -> None:
    done = memferry(*command, "--help")

    for option in ("--config", "-c", "--domain", "--json"):
        assert option in done.out


def test_the_version_is_the_packages(memferry: Callable[..., Done]) -> None:
    done = memferry("--version")

    assert (done.code, done.out.strip()) == (0, version("memferry"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["fly"], "fly"),
        (["status", "--colour"], "--colour"),
        (["audit", "--timeout-s", "soon"], "soon"),
        (["savepoint", "take"], "--name"),
        (["savepoint", "move", "a"], "move"),
        (["stack", "up", "--wipe"], "--wipe"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_command_line_that_cannot_be_understood_ends_with_2_and_says_what(
    memferry: Callable[..., Done], arguments: list[str], said: str
) -> None:
    done = memferry(*arguments)

    assert done.code == 2
    assert said in done.err + done.out
    assert "Traceback" not in done.err


def test_an_unexpected_error_is_no_finding(ledger: Ledger, tmp_path: Path) -> None:
    domain = "from schemas.domain import Domain\nDOMAIN = Domain('broken', (), 'CREATE NONSENSE')\n"
    (tmp_path / "broken_domain.py").write_text(domain)
    environment = os.environ | ledger.environment
    environment |= {
        "MEMFERRY_DOMAIN": "broken_domain",
        "MEMFERRY_PROJECTION": f"{ledger.settings.projection}_x",
        "PYTHONPATH": str(tmp_path),
    }

    done = subprocess.run(
        [PROGRAM, "project", "--until-end"],
        capture_output=True, text=True, check=False, env=environment, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 2
    assert "NONSENSE" in done.stderr
    assert "Traceback" not in done.stderr
