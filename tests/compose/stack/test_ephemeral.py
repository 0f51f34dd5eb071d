import subprocess
import sys
from pathlib import Path

import psutil

from tests.compose.stack.conftest import ended

OWNER = """
import sys
from pathlib import Path
from compose.stack import ephemeral_stack
with ephemeral_stack(Path(sys.argv[1])) as stack:
    stack.endpoints() or sys.exit("not up")
    print(*[part.pid for part in stack.status()], flush=True)
    sys.stdin.read()
"""


def test_a_stack_whose_owner_is_killed_is_removed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, tmp_path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    servers = [psutil.Process(int(number)) for number in owner.stdout.readline().split()]
    guards = [
        child
        for child in psutil.Process(owner.pid).children()
        if any(part.endswith("guard.py") for part in child.cmdline())
    ]
    assert len(servers) == 2
    assert len(guards) == 1

    owner.kill()
    owner.communicate()

    gone, left = psutil.wait_procs([*servers, *guards], timeout=30)
    assert not left
    assert list(tmp_path.iterdir()) == []
    assert len(gone) == 3


def test_a_stack_is_removed_when_its_test_fails(tmp_path: Path) -> None:
    failing = OWNER.replace("sys.stdin.read()", "raise ValueError('the test failed')")

    run = subprocess.run(
        [sys.executable, "-c", failing, tmp_path], capture_output=True, text=True, check=False
    )

    assert "the test failed" in run.stderr
    assert all(ended(int(number)) for number in run.stdout.split())
    assert list(tmp_path.iterdir()) == []
