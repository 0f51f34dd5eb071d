import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack import ephemeral
from compose.stack.account import Account
from compose.stack.jars.cache import class_path

ROOT = Path(ephemeral.__file__).parents[2]

SCRIPT = """
import json, psycopg
from compose.stack import Stack
stack = Stack()
url = stack.up().postgres
with psycopg.connect(url) as connection:
    connection.execute("CREATE TABLE kept (value text)")
print(*[part.pid for part in stack.status()])
stack.down(wipe=True)
"""


def interpreter_for(account: Account) -> Path | None:
    """A Python of our version that the account can run: ours may lie in a closed directory."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys.executable).resolve(), Path("/usr/bin") / version]
    return next((path for path in candidates if account.reaches(path)), None)


@pytest.mark.skipif(os.geteuid() != 0, reason="whoever is not root is an ordinary user already")
def test_an_ordinary_user_has_a_stack_of_their_own(tmp_path: Path) -> None:
    entry = pwd.getpwnam("nobody")
    user = Account(entry.pw_uid, entry.pw_gid)
    python = interpreter_for(user)
    if python is None or not user.reaches_into(ROOT / "compose"):
        pytest.skip("an ordinary user can read neither this Python nor this repository")
    home = Path("/tmp") / f"memferry-user-{os.getpid()}"  # noqa: S108  tmp_path is closed to others
    jars = home / "jars"
    jars.mkdir(parents=True)
    try:
        for jar in class_path():
            shutil.copy(jar, jars)
        for path in (home, jars):
            user.own(path)

        ended = subprocess.run(
            [python, "-c", SCRIPT],
            env={
                "MEMFERRY_HOME": str(home),
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            },
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
            **user.as_popen_arguments(),
        )

        assert ended.returncode == 0, ended.stderr
        assert len(ended.stdout.split()) == 2
        assert {path.stat().st_uid for path in home.iterdir()} == {user.uid}
    finally:
        shutil.rmtree(home)
