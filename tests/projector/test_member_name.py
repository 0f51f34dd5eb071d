import os
import subprocess
import sys

import pytest

from projector.member_name import is_dead, member_name


def name_of(pid: int, started: int) -> str:
    parts = member_name(0).split("-")
    return "-".join([*parts[:2], str(pid), str(started), "0"])


def test_a_process_that_lives_is_not_dead_and_one_that_was_killed_is() -> None:
    code = "import sys; from projector.member_name import member_name; print(member_name(3)); "
    process = subprocess.Popen(
        [sys.executable, "-c", code + "sys.stdout.flush(); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    name = process.stdout.readline().strip()
    assert f"-{process.pid}-" in name
    assert not is_dead(name)

    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # not reaped: its number is kept
    assert is_dead(name)

    process.communicate()
    assert is_dead(name)


def test_another_process_under_the_same_number_does_not_make_the_first_one_alive() -> None:
    assert not is_dead(member_name(0))
    assert is_dead(name_of(os.getpid(), 1))


@pytest.mark.parametrize(
    "name", ["", "aiokafka-0.14.0", "memferry-0123456789ab-1-1-0", "a-b-c-d-e"]
)
def test_of_another_machine_or_program_nothing_is_known(name: str) -> None:
    assert not is_dead(name)
