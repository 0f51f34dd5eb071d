"""What the stack remembers of a part between commands: its process and its ports."""

import os
from pathlib import Path
from typing import TypeVar

import msgspec

from compose.stack.errors import DirectoryUnusable
from compose.stack.process import ProcessId

T = TypeVar("T")


class PartState(msgspec.Struct, frozen=True):
    """One part as last started; kept when it stops, so that it comes back on its ports."""

    process: ProcessId | None = None
    ports: dict[str, int] = {}


def load(path: Path, kind: type[T]) -> T | None:
    """What was saved; None when nothing was, or when it makes no sense.

    A state file that makes no sense is as good as none: what runs is found by its directory.
    Raises: DirectoryUnusable when it is another user's.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    except PermissionError as error:
        raise DirectoryUnusable(path.parent, f"{path.name} belongs to another user") from error


def save(path: Path, value: msgspec.Struct) -> None:
    """The value is on disk, whole, readable by its owner only, whoever dies meanwhile."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(value)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
