"""An app or a relay that kills itself at a chosen point, at the boundary to the disk or the broker.

python -m tests.eventlog.killed_child app|relay POINT SETTINGS
"""

import asyncio
import os
import signal
import socket
import sys
from typing import Any

import apsw
import msgspec

import eventlog
from eventlog.relay_service import run_relay
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, new_rings, opened

VICTIM = "victim"
BEFORE = 10


class Armed:
    """The point at which this process dies; empty while it may live."""

    point = ""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillingFile(apsw.VFSFile):
    """A file at whose writes and fsyncs the process may die."""

    def __init__(self, name: "str | apsw.URIFilename", flags: list[int]) -> None:
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        if Armed.point in {"before commit", "before prune"}:
            die()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        if Armed.point in {"after commit", "after prune"}:
            die()


class KillingDisk(apsw.VFS):
    """SQLite's way to the disk."""

    def __init__(self) -> None:
        super().__init__("killing", "unix", makedefault=True)

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:
        assert name is not None
        return KillingFile(name, flags)


class KillingSocket(socket.socket):
    """A socket that dies with the broker's answer to the victim in its hands."""

    _sent = False

    def send(self, data: Any, flags: int = 0) -> int:
        self._note(bytes(data))
        return super().send(data, flags)

    def sendmsg(self, buffers: Any, *rest: Any) -> int:
        buffers = list(buffers)
        self._note(b"".join(map(bytes, buffers)))
        return super().sendmsg(buffers, *rest)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if self._sent and data:
            die()
        return data

    def _note(self, data: bytes) -> None:
        self._sent = self._sent or (Armed.point == "after send" and VICTIM.encode() in data)


def watch_marks() -> None:
    """Die where a relay would write the mark of the victim."""
    write = os.pwrite

    def pwrite(handle: int, data: bytes, offset: int) -> int:
        if Armed.point == "after ack" and data.strip().isdigit() and int(data) > BEFORE + 1:
            die()
        return write(handle, data, offset)

    os.pwrite = pwrite  # type: ignore[assignment]


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def app(point: str, settings: Settings) -> None:
    """Record a few accounts, then the victim, on which the point is armed."""
    ferry = eventlog.attach(settings)
    ferry.register("account", {})
    ferry.register("reading", new_rings())
    alone = settings.relay.mode == "process"
    for number in range(BEFORE):
        receipt = ferry.record(opened(str(number)))
    receipt.durable(DEADLINE_S)
    if not alone:
        receipt.replicated(DEADLINE_S)
    pruning = point.endswith("prune")
    Armed.point = "" if pruning else point
    receipt = ferry.record(opened(VICTIM))
    receipt.durable(DEADLINE_S)
    say(f"durable {VICTIM}")
    if not alone:
        receipt.replicated(DEADLINE_S)
        say(f"replicated {VICTIM}")
    if pruning:
        Armed.point = point
        ferry.pruning.allow({p: head.seq for p, head in ferry._outbox.heads().items()})
        ferry.durable.wait(1 << 60, DEADLINE_S)
    say("survived")


def main(role: str, point: str, text: str) -> None:
    """Become the app or the relay."""
    settings = msgspec.json.decode(text, type=Settings)
    disk = KillingDisk()
    socket.socket = KillingSocket  # type: ignore[misc]
    watch_marks()
    if role == "app":
        app(point, settings)
    else:
        Armed.point = point
        asyncio.run(run_relay(settings))
    disk.unregister()


if __name__ == "__main__":
    main(*sys.argv[1:])
