"""Where the log does not fold: an event does not follow from the ones before it."""

from typing import Any

from schemas.errors import FerryError
from schemas.lane import LaneCheck


class FoldFailed(FerryError):
    """The log cannot be folded: an event does not follow from the ones before it."""


def failure_at(error: Exception, check: LaneCheck, record: Any) -> FoldFailed:
    """Return what is said of a record that was admitted to its lane, and did not fold."""
    return failure(
        f"the log does not fold: {getattr(error, 'what', None) or repr(error)}",
        f"lane {check.lane}, seq {check.head.seq}, partition {record.partition}, "
        f"offset {record.offset}",
    )


def failure(what: str, where: str) -> FoldFailed:
    """Return a failure of which what and where are known."""
    return FoldFailed(what, where=where, remedy="audit with the domain that wrote the log")
