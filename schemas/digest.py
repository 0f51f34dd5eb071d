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

_AS_IS = frozenset({str, int, bool, type(None)})

_encode = msgspec.json.Encoder(order="deterministic").encode


def _canonical(value: Any) -> Any:
    """Bring a value to the form that memory and PostgreSQL agree on.

    Decimals lose trailing zeros (PostgreSQL pads to the column's scale) and no other digit, times
    become microseconds since 1970 UTC.
    """
    if isinstance(value, Decimal):
        return ["d", _plain(value)]
    if isinstance(value, datetime.datetime):
        return ["t", (value - _EPOCH) // _MICROSECOND]
    return _document(value) if isinstance(value, dict | list | tuple) else value


def _plain(value: Decimal) -> str:
    text = format(value, "f")  # exact, unlike normalize(), which rounds to the context's precision
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _document(value: Any) -> Any:
    """Bring the content of a jsonb column to what it gives back: whole numbers are ints there."""
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {key: _document(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_document(item) for item in value]
    return value


def row_digest(table: str, row: Row) -> int:
    """Return the digest of one row of one table; the key is part of the row."""
    values = [value if type(value) in _AS_IS else _canonical(value) for value in row]
    text = _encode([table, values])
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "big")


def sum_digests(digests: Iterable[int]) -> int:
    """Return the digest of a set of rows: the sum of theirs modulo 2**128, in any order."""
    return sum(digests) % MODULUS
