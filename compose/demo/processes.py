"""The demo's processes: started, killed with -9, restarted, ended by their ids."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from schemas.errors import FerryError

MEMFERRY = (sys.executable, "-c", "from compose.cli import main; main()")
_END_S = 15.0


class ProcessFailed(FerryError):
    """A process of the demo ended by itself, or refused to work."""


class Process:
    """One long-running process, its log, and the most memory that any run of it took."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.peak_rss_mb = 0.0
        self._command = list(command)
        self._log = log
        self._environment = dict(environment)
        self._running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output is appended to its log."""
        with self._log.open("ab") as log:
            self._running = subprocess.Popen(
                self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env=self._environment,
            )  # fmt: skip

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        if self._running is not None:
            self._running.kill()
            self._running.wait()
            self._running = None

    def end(self) -> None:
        """Ask it to end, and see that it does."""
        if self._running is None:
            return
        self._running.send_signal(signal.SIGTERM)
        try:
            self._running.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._running = None

    def require_alive(self) -> None:
        """Raise ProcessFailed, with the end of its log, where it ended by itself."""
        if self._running is not None and self._running.poll() is not None:
            code = self._running.returncode
            self._running = None
            raise ProcessFailed(
                f"the {self.name} ended with {code}:\n{tail(self._log)}",
                where=str(self._log),
                remedy="read the whole log; start the demo again",
            )

    def sample(self) -> float:
        """Return its resident memory in MB, 0 while it does not run, and keep the peak."""
        if self._running is None:
            return 0.0
        try:
            rss_mb: float = psutil.Process(self._running.pid).memory_info().rss / 2**20
        except psutil.NoSuchProcess:
            return 0.0
        self.peak_rss_mb = max(self.peak_rss_mb, rss_mb)
        return rss_mb


class Commands:
    """Runs `memferry` commands as a user would, with `--json`, and keeps their peak memory."""

    def __init__(self, environment: Mapping[str, str], log: Path) -> None:
        self._environment = dict(environment)
        self._log = log
        self.peak_rss_mb: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def run(self, *words: str) -> Any:
        """Return the JSON document of a command.

        Raises: ProcessFailed where it exits with neither 0 (clean) nor 1 (findings).
        """
        started = time.monotonic()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*MEMFERRY, *words, "--json"], stdout=subprocess.PIPE, stderr=log,
                env=self._environment,
            )  # fmt: skip
            output = process.stdout.read() if process.stdout else b""
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        name = words[0]
        self.seconds[name] = time.monotonic() - started
        self.peak_rss_mb[name] = max(self.peak_rss_mb.get(name, 0.0), usage.ru_maxrss / 1024)
        if process.returncode not in {0, 1}:
            raise ProcessFailed(
                f"memferry {' '.join(words)} ended with {process.returncode}:\n{tail(self._log)}",
                where=str(self._log),
                remedy="read the whole log; start the demo again",
            )
        return json.loads(output)


def tail(log: Path, lines: int = 15) -> str:
    """Return the end of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
