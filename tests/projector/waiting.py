"""Waiting for a condition, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg

_POLL_S = 0.005


def until(condition: Callable[[], object], what: str, within_s: float = 10) -> None:
    """Return once the condition holds; fail, saying for what was waited, after the deadline."""
    deadline, pause = time.monotonic() + within_s, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        pause.wait(_POLL_S)


def until_blocked_by(watch: psycopg.Connection[Any], blocking: psycopg.Connection[Any]) -> None:
    """Return once some session of the server waits for a lock that `blocking` holds."""
    waiting = "SELECT FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
    until(
        lambda: watch.execute(waiting, (blocking.info.backend_pid,)).fetchone() is not None,
        "a session that waits for a lock",
    )
