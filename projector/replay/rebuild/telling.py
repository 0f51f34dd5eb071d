"""What a worker of a rebuild says to its parent, as lines of JSON."""

from typing import Any

import msgspec

from projector.progress import PartitionProgress, Progress
from projector.stages import Stages
from projector.transient import TRANSIENT, first_line
from schemas.errors import FerryError


class Told(msgspec.Struct, frozen=True):
    """An error of another process."""

    kind: str
    what: str
    where: str = ""
    remedy: str = ""
    passes: bool = False


class Said(msgspec.Struct):
    """How far a worker is; at its end, also what became of it."""

    applied: int = 0
    duplicates: int = 0
    parked: int = 0
    batches: int = 0
    stages: Stages = msgspec.field(default_factory=Stages)
    partitions: dict[int, PartitionProgress] = {}
    stopped: dict[int, Told] = {}
    over: bool = False
    again: bool = False
    """Whether a new session should go on."""
    failed: Told | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Said).decode


def line_of(progress: Progress, **more: Any) -> bytes:
    """Return what a worker's progress is as a line."""
    said = Said(
        progress.applied, progress.duplicates, progress.parked, progress.batches, progress.stages,
        progress.partitions, {p: told_of(error) for p, error in progress.stopped.items()}, **more,
    )  # fmt: skip
    return _encode(said) + b"\n"


def said_in(line: bytes) -> Said:
    """Return what a line says."""
    return _decode(line)


def told_of(error: BaseException) -> Told:
    """Return an error as it is said to another process."""
    passes = isinstance(error, TRANSIENT)
    if isinstance(error, FerryError):
        return Told(type(error).__name__, error.what, error.where, error.remedy, passes)
    return Told(type(error).__name__, first_line(error), passes=passes)


def error_of(told: Told) -> FerryError:
    """Return an error that was said, of its own kind where that is a FerryError's."""
    kind = _kinds().get(told.kind, FerryError)
    error = kind.__new__(kind)
    FerryError.__init__(error, told.what, where=told.where, remedy=told.remedy)
    return error


def _kinds() -> dict[str, type[FerryError]]:
    found: dict[str, type[FerryError]] = {}
    left = [FerryError]
    while left:
        kind = left.pop()
        found[kind.__name__] = kind
        left += kind.__subclasses__()
    return found
