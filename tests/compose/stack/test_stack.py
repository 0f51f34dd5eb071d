import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psutil

from compose.stack import Stack
from tests.compose.stack.clients import first_value, rows, send, write_row
from tests.compose.stack.conftest import ended, kill_outright, pids


def test_clients_can_work_as_soon_as_up_returns(stack: Stack) -> None:
    endpoints = stack.up()

    send(endpoints.kafka, "first", b"value")
    write_row(endpoints.postgres, "first")

    assert first_value(endpoints.kafka, "first") == b"value"
    assert "first" in rows(endpoints.postgres)


def test_a_second_up_reuses_what_runs(stack: Stack) -> None:
    first = stack.up()
    before = pids(stack)

    second = Stack(stack.directory).up()

    assert pids(stack) == before
    assert (second.kafka, second.postgres) == (first.kafka, first.postgres)


def test_status_tells_what_runs_and_where(stack: Stack) -> None:
    endpoints = stack.up()

    kafka, postgres = stack.status()

    assert (kafka.name, postgres.name) == ("kafka", "postgres")
    assert kafka.endpoint == endpoints.kafka
    for part in (kafka, postgres):
        assert part.running
        assert part.pid is not None
        assert not ended(part.pid)
        assert part.log.stat().st_size > 0
        assert (part.uptime_s or 0) > 0
        assert (part.rss_bytes or 0) > 1_000_000


def test_every_listener_is_on_the_loopback_interface(stack: Stack) -> None:
    stack.up()

    for number in pids(stack).values():
        listening = [
            connection.laddr.ip
            for connection in psutil.Process(number).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert all(ip in ("127.0.0.1", "::ffff:127.0.0.1") for ip in listening)


def test_the_password_is_not_printed(stack: Stack) -> None:
    endpoints = stack.up()
    password = endpoints.postgres.split(":")[2].split("@")[0]

    shown = repr(endpoints) + repr(stack.status())

    assert len(password) > 20
    assert password not in shown


def test_a_crashed_run_is_cleaned_up_and_its_data_is_kept(stack: Stack) -> None:
    endpoints = stack.up()
    send(endpoints.kafka, "crash", b"kept")
    write_row(endpoints.postgres, "kept")
    before = pids(stack)

    kill_outright(*before.values())
    assert stack.endpoints() is None
    again = stack.up()

    assert again == endpoints
    assert not set(pids(stack).values()) & set(before.values())
    assert first_value(again.kafka, "crash") == b"kept"
    assert "kept" in rows(again.postgres)


def test_a_killed_kafka_comes_back_on_its_port(stack: Stack) -> None:
    endpoints = stack.up()
    untouched = pids(stack)["postgres"]

    stack.kill_kafka()
    assert "kafka" not in pids(stack)
    stack.restart_kafka()

    assert stack.endpoints() == endpoints
    assert pids(stack)["postgres"] == untouched


def test_up_at_the_same_moment_starts_one_stack(stack: Stack) -> None:
    stack.down()
    assert pids(stack) == {}
    assert stack.endpoints() is None
    script = "import sys; from pathlib import Path; from compose.stack import Stack\n"
    script += "stack = Stack(Path(sys.argv[1])); stack.up()\n"
    script += "print(*[part.pid for part in stack.status()])"
    other = subprocess.Popen(
        [sys.executable, "-c", script, stack.directory], stdout=subprocess.PIPE, text=True
    )

    with ThreadPoolExecutor() as pool:
        for ours in [pool.submit(Stack(stack.directory).up) for _ in range(2)]:
            ours.result()
    theirs, _ = other.communicate(timeout=30)

    assert [int(number) for number in theirs.split()] == list(pids(stack).values())
    # The starter, whichever it was, may have ended: its servers have not.
    assert all(part.running for part in stack.status())


def test_down_leaves_nothing_running(stack: Stack) -> None:
    stack.up()
    before = pids(stack)

    stack.down()

    assert all(ended(number) for number in before.values())
    assert not any(part.running for part in stack.status())
