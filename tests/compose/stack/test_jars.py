import os
import shutil
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from compose.stack.errors import JarAltered, JarsUnavailable, LockUnreadable
from compose.stack.jars import lock
from compose.stack.jars.__main__ import main
from compose.stack.jars.cache import class_path

SMALL = "org.slf4j:slf4j-api:1.7.36"


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def one_jar(tmp_path: Path) -> Path:
    """A lock file with one small jar of the real one."""
    [jar] = [jar for jar in lock.read() if jar.coordinate == SMALL]
    path = tmp_path / "one.lock"
    lock.write([jar], path)
    return path


@pytest.fixture
def real_jar(one_jar: Path) -> Path:
    """That jar, from the cache of whoever runs the tests."""
    return class_path(one_jar)[0]


@pytest.fixture
def empty_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEMFERRY_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Maven repository on loopback, which stands in for the central one; still empty."""
    root = tmp_path / "repository"
    root.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=root)) as server:
        Thread(target=server.serve_forever, args=[0.02]).start()
        settings = tmp_path / "jgo.conf"
        address = f"http://127.0.0.1:{server.server_port}"
        settings.write_text(f"[repositories]\ncentral = {address}\n")
        monkeypatch.setenv("JGO_CONFIG_FILE", str(settings))
        yield root
        server.shutdown()


def place(repository: Path, content: bytes) -> None:
    path = repository / "org/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_the_lock_names_kafka_and_no_host() -> None:
    jars = lock.read()

    assert "org.apache.kafka:kafka_2.13:4.4.0" in [jar.coordinate for jar in jars]
    assert "org.apache.kafka:kafka-clients:4.4.0" in [jar.coordinate for jar in jars]
    assert "//" not in lock.LOCK.read_text()


def test_an_altered_jar_is_refused_by_name(one_jar: Path, real_jar: Path, empty_home: Path) -> None:
    altered = empty_home / "jars" / real_jar.name
    altered.parent.mkdir(parents=True)
    altered.write_bytes(real_jar.read_bytes() + b"\0")

    with pytest.raises(JarAltered) as caught:
        class_path(one_jar)

    assert caught.value.coordinate == SMALL
    assert f"rm '{altered}'" in str(caught.value)


def test_a_jar_is_fetched_once_and_checked(
    one_jar: Path, real_jar: Path, empty_home: Path, repository: Path
) -> None:
    place(repository, real_jar.read_bytes())

    [fetched] = class_path(one_jar)
    shutil.rmtree(repository / "org")
    [cached] = class_path(one_jar)

    assert fetched == cached
    assert fetched.is_relative_to(empty_home)
    assert fetched.read_bytes() == real_jar.read_bytes()


def test_a_repository_that_gives_other_bytes_is_refused_and_they_are_not_kept(
    one_jar: Path, empty_home: Path, repository: Path
) -> None:
    place(repository, b"something else")

    with pytest.raises(JarAltered, match="not kept"):
        class_path(one_jar)

    assert not list(empty_home.rglob("*.jar"))


def test_an_empty_cache_without_a_repository_says_what_to_do(
    one_jar: Path, empty_home: Path, repository: Path
) -> None:
    with pytest.raises(JarsUnavailable) as caught:
        class_path(one_jar)

    assert caught.value.coordinates == [SMALL]
    assert "run: python -m compose.stack.jars" in str(caught.value)
    assert str(empty_home / "jars") in str(caught.value)


def test_the_command_says_that_no_repository_can_be_reached(
    empty_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Port 9 discards; nothing listens there.
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")

    code = main([])

    printed = capsys.readouterr()
    assert code == 2
    assert printed.out == ""
    assert "Kafka's jars are not on this machine" in printed.err
    assert "connect to a Maven repository" in printed.err


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[jars]\n",
        "[jars\n",
        'jars = "none"\n',
        '[jars]\n"a:b" = "00"\n',
        f'[jars]\n"a:b:../../c" = "{"0" * 64}"\n',
        '[jars]\n"a:b:1" = 7\n',
    ],
)
def test_a_malformed_lock_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.lock"
    path.write_text(content)

    with pytest.raises(LockUnreadable, match="--relock"):
        lock.read(path)
