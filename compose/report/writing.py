"""Files of reports: written beside, then renamed, so that nobody reads half of one."""

import os
from pathlib import Path

from schemas.errors import FerryError


class ReportNotWritten(FerryError):
    """The report's file cannot be written."""


def write_whole(path: Path, text: str) -> None:
    """Write a file, in place of an earlier one; raises ReportNotWritten.

    What is no file, as a pipe, is written to as it is.
    """
    content = text.encode("utf-8", "backslashreplace")
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(content)
            return
        path = path.resolve()  # a link stays one
        fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            fresh.write_bytes(content)
            fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
    except OSError as error:
        raise ReportNotWritten(
            f"the report cannot be written: {error.strerror or error}",
            where=str(path),
            remedy="name a file in a directory that exists and may be written to",
        ) from error
