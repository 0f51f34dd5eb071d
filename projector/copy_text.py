"""Python values as PostgreSQL's COPY text format, formatted here because one call a value is slow."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

NULL = "\\N"
_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_json = msgspec.json.Encoder(order="deterministic").encode


def _text(value: str) -> str:
    if "\\" in value or "\t" in value or "\n" in value or "\r" in value:
        return value.translate(_SPECIAL)
    return value


def _document(value: Any) -> str:
    return _text(_json(value).decode())


_FORMATS: dict[type, Callable[[Any], str]] = {
    str: _text,
    int: str,
    float: repr,
    Decimal: str,
    bool: lambda value: "t" if value else "f",
    type(None): lambda _: NULL,
    datetime.datetime: datetime.datetime.isoformat,
    dict: _document,
    list: _document,
    tuple: _document,
}


def copy_value(value: Any) -> str:
    """Return one value as COPY text; raises TypeError for a type that no column takes."""
    write = _FORMATS.get(type(value))
    if write is None:
        if isinstance(value, str):  # a StrEnum
            return _text(str(value))
        raise TypeError(f"{type(value).__name__} cannot be a column's value")
    return write(value)


def copy_line(values: tuple[Any, ...], op: int, mask: int) -> str:
    """Return one staged row: its values, what it means, and which columns a patch sets."""
    return "\t".join([copy_value(value) for value in values]) + f"\t{op:d}\t{mask}\n"
