"""Values that come in any order and leave in theirs, however many: on disk, not in memory."""

from collections.abc import Iterator
from typing import Any

import apsw

_BATCH = 4_096


class Spill:
    """Rows of (group, place, payload), given back by group and place, in each as they came.

    SQLite keeps them in a file of its own, which it removes.
    """

    def __init__(self) -> None:
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute("PRAGMA cache_size = -8192")
        self._db.execute("CREATE TABLE spilled (grp TEXT, place INTEGER, payload BLOB)")
        self._db.execute("BEGIN")
        self._waiting: list[tuple[str, int, bytes]] = []

    def add(self, group: str, place: int, payload: bytes) -> None:
        """Keep one row; a place is an integer of 64 bits."""
        self._waiting.append((group, place, payload))
        if len(self._waiting) >= _BATCH:
            self._write()

    def in_order(self) -> Iterator[tuple[str, int, bytes]]:
        """Give all rows, by group and place."""
        self._write()
        rows: Any = self._db.execute(
            "SELECT grp, place, payload FROM spilled ORDER BY grp, place, rowid"
        )
        yield from rows

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def _write(self) -> None:
        self._db.executemany("INSERT INTO spilled VALUES (?, ?, ?)", self._waiting)
        self._waiting.clear()
