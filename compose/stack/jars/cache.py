"""The cache of jars: one file each, checked against the lock every time it is used."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from compose.stack.errors import JarAltered, JarsUnavailable
from compose.stack.exclusive import exclusive
from compose.stack.home import home, make
from compose.stack.jars import maven
from compose.stack.jars.lock import LOCK, LockedJar, read

_STAGING = ".incoming-"


def directory() -> Path:
    """Where jars are kept, for all stacks of this user."""
    return home() / "jars"


def class_path(lock: Path = LOCK) -> list[Path]:
    """Every locked jar is here with the bytes that the lock names; fetched where it was not.

    All are hashed each time: that takes a fiftieth of the broker's start.
    Raises: JarAltered; JarsUnavailable; LockUnreadable; PackagesMissing without jgo.
    """
    locked = read(lock)
    cache = make(directory())
    if _missing(locked, cache):
        with exclusive(cache / "fetch.lock"):  # or another process fetches the same ones
            _fetch(_missing(locked, cache), cache)
    for jar in locked:
        path = cache / jar.filename
        if (found := jar.altered(path)) is not None:
            raise JarAltered(
                jar.coordinate,
                found=found,
                expected=jar.sha256,
                where=str(path),
                remedy=f"find out who changed it, then: rm '{path}' and run the command again, "
                "which fetches it anew and checks it",
            )
    return [cache / jar.filename for jar in locked]


def _missing(locked: Sequence[LockedJar], cache: Path) -> list[LockedJar]:
    return [jar for jar in locked if not (cache / jar.filename).exists()]


def _fetch(missing: Sequence[LockedJar], cache: Path) -> None:
    """These jars are in the cache; each appears there whole, and only when it is the locked one.

    The caller holds the cache's lock: what a killed fetch left behind can be removed.
    """
    for abandoned in cache.glob(f"{_STAGING}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_STAGING, dir=cache) as staging:
        context = maven.context(Path(staging))

        def fetch(jar: LockedJar) -> None:
            path: Path = context.create_dependency(jar.coordinate).artifact.resolve()
            if (found := jar.altered(path)) is not None:
                raise JarAltered(
                    jar.coordinate,
                    found=found,
                    expected=jar.sha256,
                    where="as the Maven repository gave it; it was not kept",
                    remedy="name a repository you trust as `central` under [repositories] in "
                    "~/.config/jgo.conf and run: python -m compose.stack.jars",
                )
            path.replace(cache / jar.filename)

        try:
            maven.in_parallel(fetch, missing)
        except (OSError, RuntimeError) as error:  # what requests raises, and jgo itself
            names = [jar.coordinate for jar in _missing(missing, cache)]
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise JarsUnavailable(names, cache, reason) from error
