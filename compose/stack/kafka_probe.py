"""Asks a Kafka broker whether clients can work, in one request of Kafka's own protocol."""

import socket
import struct

from compose.stack.ports import HOST

_METADATA = 3
_VERSION = 1
_NO_CLIENT_ID = -1
_NO_TOPICS = 0
_TIMEOUT_S = 2.0


def has_brokers(port: int) -> bool:
    """Whether the cluster lists a broker that takes requests.

    A broker opens its port before the controller has let it in; until then the metadata lists
    none, and clients that are sent there fail.
    """
    request = struct.pack(">hhihi", _METADATA, _VERSION, 0, _NO_CLIENT_ID, _NO_TOPICS)
    try:
        with socket.create_connection((HOST, port), timeout=_TIMEOUT_S) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _receive(connection, 4))
            _correlation, brokers = struct.unpack(">ii", _receive(connection, size)[:8])
    except (OSError, EOFError, struct.error):
        return False
    return bool(brokers > 0)


def _receive(connection: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = connection.recv(size - len(received))
        if not chunk:
            raise EOFError
        received += chunk
    return received
