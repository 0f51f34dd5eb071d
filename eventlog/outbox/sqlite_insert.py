"""Many rows into SQLite in few statements.

Each statement gives up the interpreter's lock, and a busy app takes milliseconds to give it back:
ten statements for a thousand rows may cost more than the rows.
"""

from collections.abc import Sequence
from functools import cache
from itertools import chain
from typing import Any

import apsw

_SIZES = tuple(2**power for power in range(10, -1, -1))
"""Rows in one statement; apsw keeps no statement prepared whose text is above 16 KiB."""


def insert(
    db: apsw.Connection, table: str, columns: Sequence[Sequence[Any]], on_conflict: str = ""
) -> None:
    """Insert rows, given by column, in their order."""
    count, start = len(columns[0]), 0
    for size in _SIZES:
        while count - start >= size:
            rows = zip(*(column[start : start + size] for column in columns), strict=True)
            statement = _statement(table, len(columns), size, on_conflict)
            db.execute(statement, tuple(chain.from_iterable(rows)))
            start += size


@cache
def _statement(table: str, width: int, rows: int, on_conflict: str) -> str:
    row = f"({','.join('?' * width)})"
    return f"INSERT INTO {table} VALUES {','.join([row] * rows)} {on_conflict}"  # noqa: S608
