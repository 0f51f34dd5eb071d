"""How many different names there are, with bounded memory: hashes, beyond a number on disk."""

from typing import Any

import apsw

MEMORY_NAMES = 300_000
"""Hashes in memory, some 30 MB."""
_BATCH = 4_096


class Distinct:
    """Counts different texts by 64 bits of hash; SQLite keeps further ones in a file of its own.

    Among 10 million names the chance that two are taken for one is under one in 100,000.
    """

    def __init__(self, memory_names: int = MEMORY_NAMES) -> None:
        self._most = memory_names
        self._memory: set[int] = set()
        self._further: list[tuple[int]] = []
        self._db: Any = None

    def add(self, name: str) -> bool:
        """Take a name; False where it was there before, as far as memory says."""
        mark = hash(name)
        if mark in self._memory:
            return False
        if len(self._memory) < self._most:
            self._memory.add(mark)
        else:
            self._further.append((mark,))
            if len(self._further) >= _BATCH:
                self._write()
        return True

    def count(self) -> int:
        """Return how many different names there were."""
        if self._further:
            self._write()
        further = self._db.execute("SELECT count(*) FROM known").get if self._db else 0
        return len(self._memory) + further

    def close(self) -> None:
        """Forget everything."""
        if self._db:
            self._db.close()

    def _write(self) -> None:
        if self._db is None:
            self._db = apsw.Connection("")
            self._db.execute("PRAGMA journal_mode = OFF")
            self._db.execute("PRAGMA synchronous = OFF")
            self._db.execute("PRAGMA temp_store = FILE")
            self._db.execute("PRAGMA cache_size = -8192")
            self._db.execute("CREATE TABLE known (mark INTEGER PRIMARY KEY)")
            self._db.execute("BEGIN")
        self._db.executemany("INSERT OR IGNORE INTO known VALUES (?)", self._further)
        self._further.clear()
