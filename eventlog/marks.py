"""How far a relay in another process has come, and why it stopped, in a file beside the outbox.

The relay writes it, the shim reads it. Losing it is harmless: the topic itself says how far it is.
"""

import os
from pathlib import Path

import msgspec

from schemas.errors import FerryError

_WIDTH = 20
_TOLD_BYTES = 64 * 1024


class MarkFile:
    """The newest row that Kafka has acknowledged."""

    def __init__(self, outbox: Path) -> None:
        self._handle = os.open(f"{outbox}.mark", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, row: int) -> None:
        """Replace the number; one small write, so a reader sees the old one or the new one."""
        os.pwrite(self._handle, f"{row:>{_WIDTH}}".encode(), 0)

    def read(self) -> int:
        """Return the number, 0 where no relay has written one."""
        text = os.pread(self._handle, _WIDTH, 0).strip()
        return int(text) if text.isdigit() else 0

    def explain(self, error: FerryError) -> None:
        """Say behind the number why the relay stopped, until the next one begins."""
        told = msgspec.json.encode((error.what, error.where, error.remedy))
        os.pwrite(self._handle, told, _WIDTH)

    def begin(self) -> None:
        """Forget why the relay before stopped."""
        if os.fstat(self._handle).st_size > _WIDTH:
            os.ftruncate(self._handle, _WIDTH)

    def explanation(self) -> tuple[str, str, str] | None:
        """Return what, where and remedy of the error by which the relay stopped."""
        told = os.pread(self._handle, _TOLD_BYTES, _WIDTH)
        try:
            return msgspec.json.decode(told, type=tuple[str, str, str]) if told else None
        except msgspec.DecodeError:  # not all of it is written yet
            return None

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
