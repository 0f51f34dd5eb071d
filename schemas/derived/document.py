"""Values of a document column as JSON, the same bytes wherever they are written."""

from typing import Any

import msgspec

_encode = msgspec.json.Encoder(order="deterministic").encode


def document_of(value: Any) -> tuple[bytes, bool]:
    """Return a value as JSON in one order, and whether keys other than text became text.

    Raises: TypeError or ValueError where JSON has nothing for it.
    """
    try:
        return _encode(value), False
    except TypeError:  # a dict with other keys than text, or nothing that JSON can hold
        plain = msgspec.to_builtins(value, str_keys=True, order="deterministic")
        return _encode(plain), True
