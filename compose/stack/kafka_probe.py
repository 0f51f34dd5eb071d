"""Asks a Kafka broker with whom clients can work, in one request of Kafka's own protocol."""

import socket
import struct
from collections.abc import Iterator

from compose.stack.ports import HOST

_METADATA = 3
_VERSION = 1
_NO_CLIENT_ID = -1
_NO_TOPICS = 0
_TIMEOUT_S = 2.0


def brokers(port: int) -> set[int]:
    """The brokers of the cluster that take requests, by node id; none where nobody answers.

    A broker opens its port before the controller has let it in; until then the metadata lists it
    not, and clients that are sent there fail.
    """
    request = struct.pack(">hhihi", _METADATA, _VERSION, 0, _NO_CLIENT_ID, _NO_TOPICS)
    try:
        with socket.create_connection((HOST, port), timeout=_TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            return set(_node_ids(_receive(connection, size)))
    except (OSError, EOFError, struct.error):
        return set()


def _node_ids(answer: bytes) -> Iterator[int]:
    """Read the list of brokers: node id, host, port, rack."""
    _correlation, count = struct.unpack_from(">ii", answer)
    place = 8
    for _ in range(count):
        node, host_bytes = struct.unpack_from(">ih", answer, place)
        place += 6 + host_bytes + 4
        (rack_bytes,) = struct.unpack_from(">h", answer, place)
        place += 2 + max(0, rack_bytes)
        yield node


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise EOFError
        received += chunk
    return received
