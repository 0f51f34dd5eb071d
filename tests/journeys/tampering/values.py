"""A value changed by the least that its type allows."""

import datetime
import random
from decimal import Decimal
from typing import Any

import msgspec

_LEAST = datetime.timedelta(microseconds=1)


def altered(value: Any, draw: random.Random) -> Any:  # noqa: PLR0911  (a line a type)
    """Return another value of the same type, as near as there is."""
    if value is None:
        return "x"
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << draw.randrange(20))
    if isinstance(value, Decimal):
        return value + Decimal(1).scaleb(draw.randrange(-8, 1))
    if isinstance(value, datetime.datetime):
        return value + _LEAST
    if isinstance(value, str):
        return flipped_text(value, draw)
    if isinstance(value, dict):
        return _altered_dict(value, draw)
    if isinstance(value, tuple):
        return _altered_tuple(value, draw)
    raise TypeError(f"nobody knows how to alter a {type(value).__name__}")


def altered_field(entity: Any, field: str, draw: random.Random) -> Any:
    """Return an entity with one field altered."""
    return msgspec.structs.replace(entity, **{field: altered(getattr(entity, field), draw)})


def flipped_text(text: str, draw: random.Random) -> str:
    """Return a text with the lowest bit of one letter flipped."""
    if not text:
        return "x"
    at = draw.randrange(len(text))
    return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]


def _altered_dict(value: dict[str, str], draw: random.Random) -> dict[str, str]:
    if not value or draw.randrange(2):
        return value | {f"k{draw.randrange(1000)}": "1"}
    name = draw.choice(sorted(value))
    if draw.randrange(2):
        return {key: one for key, one in value.items() if key != name}
    return value | {name: flipped_text(value[name], draw)}


def _altered_tuple(value: tuple[Any, ...], draw: random.Random) -> tuple[Any, ...]:
    at = draw.randrange(len(value))
    fields = [name for name in value[at].__struct_fields__ if name != "symbol"]
    changed = altered_field(value[at], draw.choice(fields), draw)
    return (*value[:at], changed, *value[at + 1 :])
