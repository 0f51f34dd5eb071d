"""jgo as we use it: where it asks, and many files at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from compose.stack.errors import PackagesMissing

PARALLEL = 6
TIMEOUT_S = 30

T = TypeVar("T")
R = TypeVar("R")


def context(repository: Path) -> Any:
    """A jgo context which stores in `repository`, and asks Maven Central or the user's mirrors.

    Mirrors are those under [repositories] in jgo's own settings; one named `central` stands in
    for Maven Central.
    Raises: PackagesMissing. jgo is imported here alone: a machine with all jars does without.
    """
    try:
        from jgo.config import GlobalSettings  # noqa: PLC0415
        from jgo.constants import MAVEN_CENTRAL_URL  # noqa: PLC0415
        from jgo.maven import MavenContext  # noqa: PLC0415
    except ImportError as error:
        raise PackagesMissing("jgo") from error
    return MavenContext(
        repo_cache=repository,
        remote_repos={"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories},
        timeout=TIMEOUT_S,
    )


def in_parallel(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The results in the order of the items; after the first error nothing more is begun."""
    with ThreadPoolExecutor(PARALLEL) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
