"""Server processes: started to outlive their starter, known by id and start time."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil

from compose.stack.account import Account

POLL_S = 0.02
LOG_LIMIT_BYTES = 10 * 1024 * 1024

# The kernel's boot time, from which start times are derived, moves when the clock is set.
_CLOCK_SLACK_S = 2.0

# A server that dies while its starter still runs stays a zombie until the starter asks for it.
_children: dict[int, "subprocess.Popen[bytes]"] = {}


class ProcessId(msgspec.Struct, frozen=True):
    """One process for ever: its number, which is recycled, and when it started, which is not."""

    pid: int
    started: float
    """Seconds since the epoch, as the kernel tells."""


def spawn(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path,
    account: Account | None = None,
    env: Mapping[str, str] | None = None,
) -> ProcessId:
    """A server runs in a session of its own, and writes what it prints to `log`.

    It does not end with its starter's terminal. `cwd` also marks it: see `leftovers`.
    """
    if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
        log.replace(log.with_name(log.name + ".1"))
    identity = account.as_popen_arguments() if account else {}
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
            **identity,
        )
    _children[child.pid] = child
    try:
        started = psutil.Process(child.pid).create_time()
    except psutil.NoSuchProcess:
        started = time.time()
    return ProcessId(child.pid, started)


def find(identity: ProcessId | None) -> psutil.Process | None:
    """The process if it still runs; None when it ended, even if its number is used again."""
    if identity is None:
        return None
    if child := _children.get(identity.pid):
        child.poll()
    try:
        process = psutil.Process(identity.pid)
        if abs(process.create_time() - identity.started) > _CLOCK_SLACK_S:
            return None
        return None if process.status() == psutil.STATUS_ZOMBIE else process
    except psutil.NoSuchProcess:
        return None


def end(identity: ProcessId, *signals: tuple[signal.Signals, float]) -> bool:
    """The process is gone: each signal in turn, with the seconds it is given to work.

    Returns: False when it is still there after the last one.
    """
    for number, patience_s in signals:
        process = find(identity)
        if process is None:
            return True
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            return True
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if find(identity) is None:
                return True
            time.sleep(POLL_S)
    return find(identity) is None


def leftovers(program: str, directory: Path) -> Iterator[ProcessId]:
    """Processes of that program which work in that directory: what a crashed run left behind.

    A starter killed between starting a server and writing its id down leaves a server nobody
    knows; a killed postmaster leaves its backends for a moment.
    """
    real = directory.resolve()
    for process in psutil.process_iter():
        try:
            if process.name() == program and Path(process.cwd()) == real:
                yield ProcessId(process.pid, process.create_time())
        except psutil.Error:
            continue  # ended meanwhile, or another user's


def resident_bytes(process: psutil.Process) -> int:
    """Memory of the process and its children; what children share with it counts once."""
    total = int(process.memory_info().rss)
    for child in process.children(recursive=True):
        try:
            memory = child.memory_info()
        except psutil.NoSuchProcess:
            continue
        total += int(memory.rss) - int(getattr(memory, "shared", 0))
    return total
