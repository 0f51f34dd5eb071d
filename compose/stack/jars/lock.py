"""The lock file of Kafka's jars: which ones, and the SHA-256 of each; no host is named."""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from compose.stack.errors import LockUnreadable

LOCK = Path(__file__).parent.with_name("kafka.lock")

_HEADER = """\
# The jars that run Kafka, each with its SHA-256. Nothing else is ever run.
# Written by: python -m compose.stack.jars --relock
"""
_COORDINATE = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, order=True)
class LockedJar:
    """One jar: `group:artifact:version` and the digest its bytes must have."""

    coordinate: str
    sha256: str

    @property
    def filename(self) -> str:
        """Its name in the cache; the group is in it, for two groups may share an artifact."""
        return self.coordinate.replace(":", "_") + ".jar"

    def altered(self, path: Path) -> str | None:
        """The digest of a file that is not this jar; None when it is this jar."""
        found = digest(path)
        return None if found == self.sha256 else found


def digest(path: Path) -> str:
    """The SHA-256 of a file, as the lock file writes it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read(lock: Path = LOCK) -> list[LockedJar]:
    """The jars in the order of the class path.

    Raises: LockUnreadable.
    """
    try:
        table = tomllib.loads(lock.read_text())["jars"]
        jars = [LockedJar(coordinate, sha256) for coordinate, sha256 in table.items()]
    except (OSError, tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise LockUnreadable(lock, str(error)) from error
    for jar in jars:
        if not _COORDINATE.fullmatch(jar.coordinate) or not _SHA256.fullmatch(str(jar.sha256)):
            raise LockUnreadable(lock, f"the line of {jar.coordinate!r} is malformed")
    if not jars:
        raise LockUnreadable(lock, "it names no jar")
    return jars


def write(jars: list[LockedJar], lock: Path = LOCK) -> None:
    """The lock file names these jars, sorted."""
    lines = [f'"{jar.coordinate}" = "{jar.sha256}"\n' for jar in sorted(jars)]
    lock.write_text(_HEADER + "\n[jars]\n" + "".join(lines))
