"""What can go wrong with the embedded stack: each error says what, where, and what to run next."""

from collections.abc import Sequence
from pathlib import Path

from schemas.errors import FerryError

TAIL_LINES = 20


class StackError(FerryError):
    """The embedded stack cannot do what was asked."""


class PackagesMissing(StackError):
    """A Python package that carries a part of the stack is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package
        super().__init__(
            f"the embedded stack needs the Python package {package}, which is not installed",
            where="this Python environment",
            remedy="pip install 'memferry[cli,stack]'",
        )


class LockUnreadable(StackError):
    """The committed lock file of Kafka's jars is missing or is not what it should be."""

    def __init__(self, lock: Path, reason: str) -> None:
        self.lock = lock
        super().__init__(
            f"Kafka's lock file cannot be used: {reason}",
            where=str(lock),
            remedy=f"restore it (git checkout -- {lock.name}), "
            "or write it anew with: python -m compose.stack.jars --relock",
        )


class JarAltered(StackError):
    """A jar's bytes are not those that the lock file names; it is not run."""

    def __init__(
        self, coordinate: str, *, found: str, expected: str, where: str, remedy: str
    ) -> None:
        self.coordinate = coordinate
        self.found = found
        self.expected = expected
        super().__init__(
            f"{coordinate} is not the jar that the lock file names: "
            f"its SHA-256 is {found}, expected {expected}",
            where=where,
            remedy=remedy,
        )


class JarsUnavailable(StackError):
    """Some jars are not in the cache, and no registry gave them."""

    def __init__(self, coordinates: list[str], cache: Path, reason: str) -> None:
        self.coordinates = coordinates
        self.cache = cache
        named = ", ".join(coordinates[:3]) + (", …" if len(coordinates) > 3 else "")
        super().__init__(
            f"{len(coordinates)} of Kafka's jars are not on this machine ({named}) "
            f"and no Maven repository gave them: {reason}",
            where=str(cache),
            remedy="connect to a Maven repository (a mirror is named under [repositories] in "
            "~/.config/jgo.conf) and run: python -m compose.stack.jars; or copy that directory "
            "from a machine where this command has succeeded",
        )


class PartDidNotStart(StackError):
    """A server died while starting, or was not ready in time.

    Shape: `tail` is the end of its log, at most `TAIL_LINES` lines.
    """

    def __init__(self, part: str, reason: str, log: Path, *, remedy: str) -> None:
        self.part = part
        self.reason = reason
        self.log = log
        self.tail = tail(log)
        shown = "\n".join(f"    | {line}" for line in self.tail) or "    | (the log is empty)"
        super().__init__(
            f"{part} did not start: {reason}; the end of its log:\n{shown}",
            where=str(log),
            remedy=remedy,
        )


class PartDidNotStop(StackError):
    """A server is still there after SIGKILL: the kernel holds it, usually in a disk wait."""

    def __init__(self, part: str, pid: int, log: Path) -> None:
        self.part = part
        self.pid = pid
        super().__init__(
            f"{part} (process {pid}) did not stop, not even when killed",
            where=str(log),
            remedy=f"see what holds it: ps -o pid,stat,wchan,cmd -p {pid}",
        )


class PortTaken(StackError):
    """The port that clients know was taken by another program while the server was down."""

    def __init__(self, part: str, port: int) -> None:
        self.part = part
        self.port = port
        super().__init__(
            f"{part} cannot start on its port {port}: another program listens there",
            where=f"127.0.0.1:{port}",
            remedy=f"find it (ss -ltnp 'sport = :{port}') and end it, "
            "or run: memferry stack up, which takes a new port",
        )


class BrokersFixed(StackError):
    """The stack's Kafka was made with another number of brokers, which is for life."""

    def __init__(self, directory: Path, there: int, wanted: int | None) -> None:
        self.there = there
        self.wanted = wanted
        super().__init__(
            f"the stack's Kafka has {there} broker{'s' * (there != 1)}, not {wanted}: the number "
            "is fixed with its data",
            where=str(directory),
            remedy="give the data up with: memferry stack down --wipe; "
            "or set MEMFERRY_HOME to another directory for the other stack",
        )


class PasswordsLost(StackError):
    """PostgreSQL's data is there, but not the passwords that were made with it."""

    def __init__(self, passwords: Path) -> None:
        self.passwords = passwords
        super().__init__(
            "PostgreSQL's passwords are gone, so nobody can log in to its data",
            where=str(passwords),
            remedy="restore that file, or give the data up with: memferry stack down --wipe",
        )


class NoAccount(StackError):
    """We are root, PostgreSQL refuses to run as root, and there is nobody else to run it."""

    def __init__(self, candidates: Sequence[str]) -> None:
        super().__init__(
            f"PostgreSQL cannot run as root, and there is no account {' or '.join(candidates)}",
            where="the accounts of this machine",
            remedy="run the command as an ordinary user, or: useradd --system memferry",
        )


class DirectoryUnusable(StackError):
    """The stack's directory cannot be made, entered or written by this user."""

    def __init__(self, directory: Path, reason: str) -> None:
        self.directory = directory
        super().__init__(
            f"the stack's directory cannot be used: {reason}",
            where=str(directory),
            remedy="name another one: export MEMFERRY_HOME=/a/directory/you/own",
        )


def tail(log: Path, lines: int = TAIL_LINES) -> list[str]:
    """The last lines of a log, without reading all of it; empty when there is no log."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - 64 * 1024))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines()[-lines:]]
