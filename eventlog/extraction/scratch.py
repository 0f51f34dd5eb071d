"""A temporary SQLite file for what would not fit into memory: keys, and digests of contents."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import blake2b
from types import TracebackType
from typing import Any

import apsw
import msgspec

_encode = msgspec.json.Encoder(order="deterministic", enc_hook=repr).encode
_CACHE_KB = 4_096


class Scratch:
    """Open while it is entered; SQLite removes the file."""

    def __enter__(self) -> "Scratch":
        self._db = apsw.Connection("")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute("PRAGMA cache_size = -4096")
        self._db.execute("CREATE TABLE key (kind, key, PRIMARY KEY (kind, key)) WITHOUT ROWID")
        self._db.execute(
            "CREATE TABLE content (kind, digest, key, PRIMARY KEY (kind, digest)) WITHOUT ROWID"
        )
        self._db.execute("BEGIN")
        self._has = lru_cache(_CACHE_KB)(self._look)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._db.close()

    def add_keys(self, kind: str, keys: Iterable[str]) -> None:
        """Note which entities of a kind there are."""
        self._db.executemany(
            "INSERT OR IGNORE INTO key VALUES (?, ?)", ((kind, key) for key in keys)
        )

    def has(self, kind: str, key: str) -> bool:
        """Say whether there is an entity."""
        return self._has(kind, key)

    def _look(self, kind: str, key: str) -> bool:
        found = self._db.execute("SELECT 1 FROM key WHERE kind = ? AND key = ?", (kind, key)).get
        return found is not None

    def seen(self, kind: str, content: list[Any], key: str) -> str | None:
        """Note an entity's content; return the key under which the same one came before."""
        digest = blake2b(_encode(content), digest_size=16).digest()
        self._db.execute("INSERT OR IGNORE INTO content VALUES (?, ?, ?)", (kind, digest, key))
        if self._db.changes():
            return None
        earlier: str = self._db.execute(
            "SELECT key FROM content WHERE kind = ? AND digest = ?", (kind, digest)
        ).get
        return earlier
