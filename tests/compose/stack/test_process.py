import signal
import subprocess
from pathlib import Path

import psutil

from compose.stack.process import ProcessId, end, find, spawn


def test_a_recycled_number_is_another_process(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        stale = ProcessId(bystander.pid, psutil.Process(bystander.pid).create_time() - 60)

        ended = end(stale, (signal.SIGKILL, 1.0))

        assert ended
        assert find(stale) is None
        assert bystander.poll() is None
        bystander.kill()


def test_a_server_that_ignores_one_signal_is_sent_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stubborn = "import signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    stubborn += "print('ready', flush=True); signal.pause()"
    server = spawn(["python3", "-c", stubborn], log=log, cwd=tmp_path)
    while "ready" not in log.read_text():
        assert find(server) is not None

    assert not end(server, (signal.SIGTERM, 0.1))
    assert end(server, (signal.SIGTERM, 0.1), (signal.SIGKILL, 10.0))

    assert find(server) is None


def test_a_large_log_is_put_aside_before_the_server_writes_to_it(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    with log.open("wb") as file:
        file.truncate(11 * 1024 * 1024)

    server = spawn(["true"], log=log, cwd=tmp_path)

    assert end(server, (signal.SIGTERM, 10.0))
    assert log.stat().st_size == 0
    assert log.with_name("server.log.1").exists()
