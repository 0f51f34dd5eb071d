"""The account that runs PostgreSQL when we are root, for PostgreSQL refuses to."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

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

    def reaches(self, path: Path) -> bool:
        """Whether this user can pass all parents and read the path: asked of the kernel."""
        asked = subprocess.run(
            ["test", "-r", path, "-a", "-x", path],
            check=False,
            cwd="/",
            **self.as_popen_arguments(),
        )
        return asked.returncode == 0


def unprivileged(data: Path) -> Account | None:
    """Who shall run PostgreSQL on `data`: its owner, else the first account that exists.

    No account is created: a development tool leaves no users behind.
    Returns: None when we are not root, and run it ourselves.
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
    raise LookupError(f"none of the accounts {', '.join(CANDIDATES)} exists on this machine")
