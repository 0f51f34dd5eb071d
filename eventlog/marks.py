"""How far a relay in another process has come: one number in a file beside the outbox.

The relay writes it, the shim reads it. Losing it is harmless: the topic itself says how far it is.
"""

import os
from pathlib import Path

_WIDTH = 20


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

    def close(self) -> None:
        """Close the file."""
        os.close(self._handle)
