"""How many bytes entities take: an estimate from a few of them, walked whole."""

import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

_WALKED = 64
"""Entities looked at, spread over the container."""
_OBJECTS = 10_000
"""Objects looked at within one entity, at most."""
_SHARED = (type, type(sys), type(len), type(lambda: None))
_LEAVES = (str, bytes, int, float)
_SEQUENCES = (list, tuple, set, frozenset)
_CONTAINER_BYTES = 100
"""What a dict keeps for one more entry, about: its share of the table and the key's text."""


def estimate_bytes(entities: Iterator[Any], count: int) -> int:
    """Return about how many bytes `count` entities take, with their places in a container.

    What several entities share is counted for each that was looked at.
    """
    if not count:
        return 0
    looked = list(islice(entities, 0, None, max(1, count // _WALKED)))
    if not looked:
        return 0
    return round(sum(map(bytes_of, looked)) / len(looked) + _CONTAINER_BYTES) * count


def bytes_of(value: Any) -> int:
    """Return the bytes of a value and of everything that it alone can be reached by."""
    seen: set[int] = set()
    left, total = [value], 0
    while left and len(seen) < _OBJECTS:
        one = left.pop()
        if id(one) in seen or one is None or isinstance(one, _SHARED):
            continue
        seen.add(id(one))
        total += sys.getsizeof(one, 0)
        left.extend(_parts(one))
    return total


def _parts(value: Any) -> list[Any]:
    if isinstance(value, _LEAVES):
        return []
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    parts = list(value) if isinstance(value, _SEQUENCES) else []
    if hasattr(value, "__dict__"):
        parts.append(vars(value))
    for cls in type(value).__mro__:
        slots = cls.__dict__.get("__slots__", ())
        names = (slots,) if isinstance(slots, str) else slots
        parts += [getattr(value, name) for name in names if hasattr(value, name)]
    names = getattr(type(value), "__struct_fields__", ())
    parts += [getattr(value, name) for name in names if hasattr(value, name)]
    return parts
