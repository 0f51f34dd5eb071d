"""How many rows a table has or won, bucket by bucket, and the sums of their digests.

Sums may be added and subtracted: what a table holds is what it held before and how it changed.
"""

import struct
from base64 import b64decode, b64encode
from collections.abc import Iterable

import msgspec

from schemas.digest import BUCKETS, MODULUS

_ROWS_BYTES = 8
_DIGEST_BYTES = 16
_LOW = (1 << 64) - 1
_pack = struct.Struct(">" + "qQQ" * BUCKETS).pack
_BUCKET_BYTES = _ROWS_BYTES + _DIGEST_BYTES


class Sums:
    """Counts and digests by bucket; counts may be negative: they are of changes, too."""

    __slots__ = ("digests", "rows")

    def __init__(self) -> None:
        self.rows = [0] * BUCKETS
        self.digests = [0] * BUCKETS

    def add(self, bucket: int, digest: int, rows: int = 1) -> None:
        """Add rows of a bucket and their digests' sum."""
        self.rows[bucket] += rows
        self.digests[bucket] += digest

    def take(self, bucket: int, digest: int) -> None:
        """Take one row away."""
        self.rows[bucket] -= 1
        self.digests[bucket] -= digest

    def __add__(self, other: "Sums") -> "Sums":
        return self._with(other, 1)

    def __sub__(self, other: "Sums") -> "Sums":
        return self._with(other, -1)

    def _with(self, other: "Sums", sign: int) -> "Sums":
        sums = Sums()
        sums.rows = [a + sign * b for a, b in zip(self.rows, other.rows, strict=True)]
        sums.digests = [a + sign * b for a, b in zip(self.digests, other.digests, strict=True)]
        return sums

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and not self.unlike(other)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def unlike(self, other: "Sums") -> list[int]:
        """Return the buckets that differ."""
        return [
            bucket
            for bucket in range(BUCKETS)
            if self.rows[bucket] != other.rows[bucket]
            or (self.digests[bucket] - other.digests[bucket]) % MODULUS
        ]

    @property
    def total_rows(self) -> int:
        """Rows of all buckets."""
        return sum(self.rows)

    def packed(self) -> bytes:
        """Return bytes: each bucket's rows (8, two's complement) and digest (16), big-endian."""
        numbers: list[int] = []
        for rows, digest in zip(self.rows, self.digests, strict=True):
            numbers += rows, digest >> 64 & _LOW, digest & _LOW
        return _pack(*numbers)

    @classmethod
    def unpacked(cls, packed: bytes) -> "Sums":
        """Return the sums of bytes that `packed` made; raises ValueError for others."""
        if len(packed) != BUCKETS * _BUCKET_BYTES:
            raise ValueError(f"sums take {BUCKETS * _BUCKET_BYTES} bytes, not {len(packed)}")
        sums = cls()
        for bucket in range(BUCKETS):
            at = bucket * _BUCKET_BYTES
            middle, end = at + _ROWS_BYTES, at + _BUCKET_BYTES
            sums.rows[bucket] = int.from_bytes(packed[at:middle], "big", signed=True)
            sums.digests[bucket] = int.from_bytes(packed[middle:end], "big")
        return sums


class TableSums(msgspec.Struct, frozen=True):
    """A table's sums as they stand in the log, base64: of history, and of what is resident.

    History is every row ever recorded, as the table must hold it; resident what memory holds of
    it. `resident` is None where nothing was evicted: it is as history then.
    """

    history: str
    resident: str | None = None

    @classmethod
    def of(cls, history: Sums, resident: Sums | None = None) -> "TableSums":
        """Return sums as they stand in the log."""
        return cls(_text(history), None if resident is None else _text(resident))

    def opened(self) -> tuple[Sums, Sums]:
        """Return (history, resident)."""
        history = _sums(self.history)
        return history, history if self.resident is None else _sums(self.resident)


def _text(sums: Sums) -> str:
    """Write sums in base64; where nothing changed that is the empty text."""
    packed = sums.packed()
    return b64encode(packed).decode() if any(packed) else ""


def _sums(text: str) -> Sums:
    return Sums.unpacked(b64decode(text)) if text else Sums()


def total(sums: Iterable[Sums]) -> Sums:
    """Return the sum of sums."""
    found = Sums()
    for one in sums:
        found += one
    return found
