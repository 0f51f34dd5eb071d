"""The name of a process in its consumer group, by which another one can tell that it is dead.

Kafka gives a member up only when it has said nothing for the session timeout. On the same machine
that a process was killed is known at once.
"""

import hashlib
import os
import socket
from functools import cache
from pathlib import Path

_PREFIX = "memferry"
_STARTED_AT = 19  # of the fields behind the program's name in /proc/PID/stat
_ENDED = ("Z", "X")


def member_name(number: int) -> str:
    """Return the client id of this process's member of that number."""
    pid = os.getpid()
    return f"{_PREFIX}-{_machine()}-{pid}-{_started_at(pid) or 0}-{number}"


def is_dead(client_id: str) -> bool:
    """Return whether a member's process ran on this machine and has ended; False where unknown."""
    parts = client_id.split("-")
    if len(parts) != 5 or parts[:2] != [_PREFIX, _machine()]:
        return False
    pid, started = int(parts[2]), int(parts[3])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # somebody else's: it may have the number of one that ended
        pass
    now = _started_at(pid)
    return bool(started) and now is not None and now != started


@cache
def _machine() -> str:
    """Return what tells this machine, since it was booted, from others; so do its containers."""
    parts = [socket.gethostname()]
    for path, read in (
        ("/proc/sys/kernel/random/boot_id", Path.read_text),
        ("/proc/self/ns/pid", os.readlink),
    ):
        try:
            parts.append(str(read(Path(path))))
        except OSError:  # no such thing on this system
            parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _started_at(pid: int) -> int | None:
    """Return when a process began, in ticks since boot; 0: it ended; None: that cannot be known."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return 0 if fields[0] in _ENDED else int(fields[_STARTED_AT])
