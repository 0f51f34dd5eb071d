"""The account that runs PostgreSQL when we are root, for PostgreSQL refuses to."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from compose.stack.errors import NoAccount

CANDIDATES = ("memferry", "postgres", "nobody")


class PopenArguments(TypedDict, total=False):
    """What `subprocess` needs to start a program as somebody else."""

    user: int
    group: int
    extra_groups: list[int]


@dataclass(frozen=True)
class Account:
    """An unprivileged user of this machine."""

    uid: int
    gid: int

    def as_popen_arguments(self) -> PopenArguments:
        """The program starts as this user, in this user's group alone."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path) -> None:
        """The path belongs to this user."""
        os.chown(path, self.uid, self.gid)

    def reaches(self, program: Path) -> bool:
        """Whether this user can run that program."""
        return self._test("-r", program) and self._test("-x", program)

    def reaches_into(self, directory: Path) -> bool:
        """Whether this user can open what is under that directory, where it owns that."""
        return self._test("-x", directory)

    def _test(self, what: str, path: Path) -> bool:
        """The kernel's own answer, which knows of all parents, lists and mounts."""
        asked = subprocess.run(
            ["test", what, path], check=False, cwd="/", **self.as_popen_arguments()
        )
        return asked.returncode == 0


def unprivileged(data: Path) -> Account | None:
    """Who shall run PostgreSQL on `data`: its owner, else the first account that exists.

    No account is created: a development tool leaves no users behind.
    Returns: None when we are not root, and run it ourselves.
    Raises: NoAccount.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise NoAccount(CANDIDATES)
