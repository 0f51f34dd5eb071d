"""Free ports on the loopback interface."""

import random
import socket
from collections.abc import Iterable
from pathlib import Path

HOST = "127.0.0.1"
LOWEST = 10_240

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port(*, but: Iterable[int] = ()) -> int:
    """A port nobody listens on, below those the kernel hands to outgoing connections.

    A client that retries against a stopped server could otherwise be given the server's own
    port, connect to itself, and keep the server from coming back.
    """
    taken = set(but)
    candidates = range(LOWEST, _ephemeral_floor())
    for port in random.sample(candidates, len(candidates)):
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {candidates.start} and {candidates.stop} on {HOST}")


def _ephemeral_floor() -> int:
    try:
        floor = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        floor = 32_768
    return floor if floor > LOWEST + 1_000 else 32_768
