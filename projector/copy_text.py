"""Rows as the input of COPY, a whole batch in one call.

msgspec's JSON of an array of scalars is PostgreSQL's CSV once its brackets are gone: quoted text,
bare numbers, `null`, and backslash before a quote or a backslash. Only JSON's other escapes (a
newline as `\\n`, say) mean something else in CSV; a batch with one is written value by value.
The COPY statement says so: CSV, NULL 'null', QUOTE '"', ESCAPE '\\'.
"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from schemas.tables import Row

_OTHER_ESCAPE = re.compile(rb'\\[^"\\]')
_NESTED = (b",{", b",[", b"[{", b"[[")
"""Where a value that is no scalar may begin, if it is not within a text."""
_encode_rows = msgspec.json.Encoder().encode_lines
_encode_value = msgspec.json.encode
_document = msgspec.json.Encoder(order="deterministic").encode


def copy_rows(rows: Sequence[Row], documents: Collection[int]) -> bytes:
    """Return rows as CSV; `documents` are the places of json and jsonb columns.

    Raises: TypeError for a value that no column takes.
    """
    if not rows:
        return b""
    if documents:
        rows = [_with_documents(row, documents) for row in rows]
    lines = _encode_rows(rows)
    # A single byte is looked for many times faster than two.
    suspicious = b"{" in lines or lines.count(b"[") > len(rows)
    if suspicious and any(mark in lines for mark in _NESTED):
        require_scalars(rows)
    if b"\\" in lines and _OTHER_ESCAPE.search(lines):
        return b"".join(_plain_line(row) for row in rows)
    # JSON has no raw newline within a value, so this cut is at row ends only.
    return lines[1:-2].replace(b"]\n[", b"\n") + b"\n"


def require_scalars(rows: Sequence[Row], documents: Collection[int] = ()) -> None:
    """Refuse a dict, list or tuple anywhere but in a json or jsonb column.

    Raises: TypeError.
    """
    for row in rows:
        for place, value in enumerate(row):
            if isinstance(value, dict | list | tuple) and place not in documents:
                raise TypeError(f"a {type(value).__name__} in column {place + 1}, no document")


def _with_documents(row: Row, documents: Collection[int]) -> Row:
    values = list(row)
    for place in documents:
        if values[place] is not None:
            values[place] = _document(values[place]).decode()
    return tuple(values)


def _plain_line(row: Row) -> bytes:
    return b",".join(_plain_value(value) for value in row) + b"\n"


def _plain_value(value: Any) -> bytes:
    if isinstance(value, str):
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    return _encode_value(value)
