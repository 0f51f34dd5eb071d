"""Which keys there are, and what names a key that is not: hashes in memory, the rest on disk."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import apsw

MEMORY_KEYS = 300_000
"""Hashes in memory, some 30 MB; further ones go to disk."""
_BATCH = 4_096


class Pending(NamedTuple):
    """A reference to what was not known yet."""

    rule: int
    target: int
    """Hash of the key that it names."""
    same: int | None
    """Hash of that key with the values that both must have."""
    stream: int | None
    """Of a windowed target: hash of its stream, and its place in it."""
    place: int | None
    row: str
    value: str
    says: str


class KnownKeys:
    """Hashes of 64 bits; SQLite keeps what is too much in a file of its own, which it removes."""

    def __init__(self) -> None:
        self._memory: set[int] = set()
        self._further: list[tuple[int]] = []
        self._pending: list[Pending] = []
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute("PRAGMA cache_size = -16384")
        self._db.execute("CREATE TABLE known (hash INTEGER PRIMARY KEY)")
        self._db.execute(
            "CREATE TABLE pending (rule, target, same, stream, place, row, value, says)"
        )
        self._db.execute("BEGIN")

    def add(self, key: int) -> None:
        """Note that there is a key."""
        if len(self._memory) < MEMORY_KEYS:
            self._memory.add(key)
        elif key not in self._memory:
            self._further.append((key,))
            if len(self._further) >= _BATCH:
                self._write()

    def __contains__(self, key: int) -> bool:
        """Say whether a key is known to be there; only `pending` looks at the disk, too."""
        return key in self._memory

    def ask_later(self, pending: Pending) -> None:
        """Keep a reference until all keys are known."""
        self._pending.append(pending)
        if len(self._pending) >= _BATCH:
            self._write()

    def pending(self) -> Iterator[tuple[Pending, bool, bool]]:
        """Give what was kept, whether the key is there, and whether it is with the same values."""
        self._write()
        for row in self._db.execute("SELECT * FROM pending ORDER BY rowid"):
            one = Pending(*row)
            there = self._has(one.target)
            yield one, there, one.same is None or (there and self._has(one.same))

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def _has(self, key: int) -> bool:
        if key in self._memory:
            return True
        found: Any = self._db.execute("SELECT 1 FROM known WHERE hash = ?", (key,)).get
        return found is not None

    def _write(self) -> None:
        self._db.executemany("INSERT OR IGNORE INTO known VALUES (?)", self._further)
        self._db.executemany("INSERT INTO pending VALUES (?, ?, ?, ?, ?, ?, ?, ?)", self._pending)
        self._further.clear()
        self._pending.clear()
