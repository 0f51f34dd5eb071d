"""A cable between a client and PostgreSQL that is cut at a chosen COMMIT."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo


class Proxy:
    """Carries bytes both ways; cuts once, when the server has answered the COMMIT of that number.

    The client never sees that answer: whether its transaction is committed it cannot know.
    """

    def __init__(self, dsn: str, commit: int) -> None:
        server = conninfo_to_dict(dsn)
        self._server = (str(server["host"]), int(str(server["port"])))
        self._commit = commit
        self._seen = 0
        self.cut = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.dsn = make_conninfo(dsn, host="127.0.0.1", port=self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            cutting = threading.Event()
            for carry in (self._upwards, self._downwards):
                threading.Thread(target=carry, args=(client, server, cutting), daemon=True).start()

    def _upwards(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        with client, server:
            while data := _received(client):
                if b"COMMIT" in data and not self.cut.is_set():
                    self._seen += 1
                    if self._seen == self._commit:
                        cutting.set()
                server.sendall(data)

    def _downwards(
        self, client: socket.socket, server: socket.socket, cutting: threading.Event
    ) -> None:
        while data := _received(server):
            if cutting.is_set():
                self.cut.set()
                break
            client.sendall(data)
        with suppress(OSError):  # the client may be gone by itself
            client.shutdown(socket.SHUT_RDWR)


def _received(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


@contextmanager
def proxied(dsn: str, commit: int) -> Iterator[Proxy]:
    """A proxy whose `dsn` leads to the server of `dsn`."""
    proxy = Proxy(dsn, commit)
    try:
        yield proxy
    finally:
        proxy.close()
