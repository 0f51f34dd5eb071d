"""128-bit digests of rows: equal for equal rows, wherever the row was read, and additive."""

import datetime
import hashlib
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.tables import Row

MODULUS = 1 << 128
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_MICROSECOND = datetime.timedelta(microseconds=1)

_encode = msgspec.json.Encoder(order="deterministic").encode


def _canonical(value: Any) -> Any:
    """Bring a value to the form that memory and PostgreSQL agree on.

    Decimals lose trailing zeros (PostgreSQL pads to the column's scale), times become microseconds
    since 1970 UTC.
    """
    if isinstance(value, Decimal):
        return ["d", format(value.normalize() + 0, "f")]
    if isinstance(value, datetime.datetime):
        return ["t", (value - _EPOCH) // _MICROSECOND]
    if isinstance(value, dict):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value


def row_digest(table: str, row: Row) -> int:
    """Return the digest of one row of one table; the key is part of the row."""
    text = _encode([table, [_canonical(value) for value in row]])
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def sum_digests(digests: Iterable[int]) -> int:
    """Return the digest of a set of rows: the sum of theirs modulo 2**128, in any order."""
    return sum(digests) % MODULUS
