"""128-bit digests of rows: equal for equal rows, wherever the row was read, and additive.

A row is written as one text that Python and PostgreSQL make alike: its values in the order of the
table's columns, joined by commas; a text behind its length, so that no two rows are written alike.
Of that text's SHA-256 the first 16 bytes are the digest: two signed numbers of 64 bits, high and
low, which PostgreSQL adds up by itself. Rows are counted and added up apart by bucket, which the
key alone decides: a row that changed stays in its bucket.
"""

import datetime
import enum
import struct
import uuid
import zlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import lru_cache
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from schemas.tables import Row, Table

BUCKETS = 32
"""Of each table; a power of two."""
MODULUS = 1 << 128
"""Sums are equal where they are equal modulo this."""
NOTHING = "~"
"""How a null is written."""
_UTC_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
_EPOCH = datetime.datetime(2000, 1, 1)  # noqa: DTZ001  (of times without a zone)
_FIRST_DAY = _EPOCH.toordinal()
_MICROSECOND = datetime.timedelta(microseconds=1)
_halves = struct.Struct(">qq").unpack_from
_double = struct.Struct(">d").pack
_document_text = msgspec.json.Encoder(order="deterministic").encode
_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "Etc/UCT", "UCT", "Etc/Universal", "Universal", "Zulu"})
_epochs: dict[datetime.tzinfo, datetime.datetime] = {datetime.UTC: _UTC_EPOCH}
_COMBINATIONS_MOST = 4_096
Digest = Callable[[Row], tuple[int, int]]
"""Row → (bucket, digest); digests may be added as they are, and compared modulo MODULUS."""
_Writers = dict[tuple[type, ...], Digest]


def digest_of(table: Table) -> Digest:
    """Return the function that digests rows of a table: its key decides the bucket."""
    writers = _writers_of(table.columns, table.key)

    def digest(row: Row) -> tuple[int, int]:
        types = (*map(type, row),)
        return (writers.get(types) or _add_writer(writers, table, types))(row)

    return digest


def row_digest(table: Table, row: Row) -> int:
    """Return the digest of one row of a table, from 0 up to MODULUS; the key is part of the row."""
    return digest_of(table)(row)[1] % MODULUS


def bucket_of(table: Table, row: Row) -> int:
    """Return a row's bucket."""
    return digest_of(table)(row)[0]


def sum_digests(digests: Iterable[int]) -> int:
    """Return the digest of a set of rows: the sum of theirs, in any order."""
    return sum(digests) % MODULUS


@lru_cache(1_024)
def _writers_of(columns: tuple[str, ...], key: tuple[str, ...]) -> _Writers:
    """Return what digests rows of such a table, by the types of their values: filled as they come.

    To look at each value's type by itself costs more than to write it.
    """
    return {}


def _add_writer(writers: _Writers, table: Table, types: tuple[type, ...]) -> Digest:
    if len(writers) >= _COMBINATIONS_MOST:  # of a table with very many optional columns
        writers.clear()
    # Of the app's own there is nothing in it: names of ours, and places.
    named: dict[str, Any] = dict(_NAMED)
    source = _source(table, types, named)
    exec(source, named)  # noqa: S102
    write: Digest = named["write"]
    writers[types] = write
    return write


def _source(table: Table, types: tuple[type, ...], named: dict[str, Any]) -> str:
    """Write the function for rows of these types: one expression for the text, no calls of ours."""
    lines = []
    texts: list[str] = []
    before: dict[type, str] = {}
    for place, kind in enumerate(types):
        value, text = f"v{place}", f"t{place}"
        if kind is type(None):
            texts.append(NOTHING)
            continue
        if kind in _INLINE:
            written = _INLINE[kind].format(value)
        else:
            named[f"write_{place}"] = _BY_TYPE.get(kind, value_text)
            written = f"write_{place}({value})"
        if kind in before:  # a time that is there twice is mostly the same object
            earlier = before[kind]
            written = f"t{earlier} if {value} is v{earlier} else ({written})"
        if kind in {int, datetime.datetime}:
            before[kind] = str(place)
        lines.append(f"    {text} = {written}")
        texts.append(f"{{{text}}}")
    key = ",".join(texts[table.columns.index(column)] for column in table.key)
    values = "".join(f"v{place}," for place in range(len(types)))
    return "\n".join(
        [
            "def write(row):",
            f"    {values} = row",
            *lines,
            f"    high, low = halves(sha256(f'{','.join(texts)}'.encode()).digest())",
            f"    return crc32(f'{key}'.encode()) & {BUCKETS - 1}, (high << 64) + low",
        ]
    )


def value_text(value: Any) -> str:
    """Write one value as memory and PostgreSQL agree on it.

    Numbers lose trailing zeros (PostgreSQL pads to the column's scale) and no other digit; times
    are microseconds since 2000 (in UTC where they have a zone), days likewise.
    """
    if value is None:
        return NOTHING
    if isinstance(value, enum.Enum):
        return value_text(value.value)
    for kind, write in _BY_TYPE.items():
        if isinstance(value, kind):
            return write(value)
    return _text(_document_text(_document(value)).decode())


def shown(text: str, like: Any = None) -> str:  # noqa: PLR0911  (a line a type)
    """Return the text of a value as people read it; `like` is a value of its column, if known."""
    if text == NOTHING:
        return "null"
    length, colon, rest = text.partition(":")
    if colon and length.isdecimal() and int(length) == len(rest):
        return rest
    try:
        if isinstance(like, datetime.datetime):
            epoch = _EPOCH if like.tzinfo is None else _UTC_EPOCH
            return (epoch + int(text) * _MICROSECOND).isoformat()
        if isinstance(like, datetime.date):
            return datetime.date.fromordinal(int(text) + _FIRST_DAY).isoformat()
        if isinstance(like, float):
            return repr(struct.unpack(">d", bytes.fromhex(text))[0])
    except (ValueError, OverflowError, struct.error):
        return text  # of another type than its column's
    return text


def _text(value: str) -> str:
    return f"{len(value)}:{str.__str__(value)}"


def _number(value: Decimal) -> str:
    return _trimmed(str(value), value)


def _trimmed(text: str, value: Decimal) -> str:
    """Return a number's text without an exponent and without trailing zeros behind the point."""
    if "E" in text:
        text = format(value, "f")  # exact, unlike normalize(), which rounds to the context's digits
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _time(value: datetime.datetime) -> str:
    zone = value.tzinfo
    if zone is None:
        return str((value - _EPOCH) // _MICROSECOND)
    return str((value - (_epochs.get(zone) or _epoch_of(value))) // _MICROSECOND)


def _epoch_of(value: datetime.datetime) -> datetime.datetime:
    """Return where times of a zone begin: in the zone itself where it is UTC by another name.

    Two times of one zone are subtracted without asking it for its offset at each.
    """
    zone = value.tzinfo
    if not isinstance(zone, ZoneInfo) or zone.key not in _UTC_NAMES:
        return _UTC_EPOCH
    _epochs[zone] = datetime.datetime(2000, 1, 1, tzinfo=zone)
    return _epochs[zone]


def _document(value: Any) -> Any:
    """Bring the content of a jsonb column to what it gives back: whole numbers are ints there."""
    if isinstance(value, float) and value.is_integer():
        return int(Decimal(repr(value)))
    if isinstance(value, dict):
        return {key: _document(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_document(item) for item in value]
    return value


_BY_TYPE: dict[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    str: _text,
    int: lambda value: str(int(value)),
    Decimal: _number,
    datetime.datetime: _time,
    datetime.date: lambda value: str(value.toordinal() - _FIRST_DAY),
    float: lambda value: _double(value).hex(),
    uuid.UUID: lambda value: f"36:{value}",
    bytes: lambda value: str(value.hex()),
}
"""Each type before those that it is a kind of."""
_INLINE: dict[type, str] = {
    str: "f'{{len({0})}}:{{{0}}}'",
    int: "str({0})",
    Decimal: "t if (t := str({0}))[-1] != '0' and 'E' not in t else trimmed(t, {0})",
    datetime.datetime: "str(({0} - epoch) // microsecond) if {0}.tzinfo is UTC else time({0})",
}
"""What the most frequent types are written by, as expressions."""
_NAMED = {
    "halves": _halves,
    "sha256": sha256,
    "crc32": zlib.crc32,
    "trimmed": _trimmed,
    "epoch": _UTC_EPOCH,
    "microsecond": _MICROSECOND,
    "UTC": datetime.UTC,
    "time": _time,
}
