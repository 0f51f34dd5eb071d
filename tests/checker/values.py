"""JSON as the checker compares it: strict to read, canonical to compare, spelled out to report."""

import json
from typing import Any, NoReturn

SHOWN_CHARACTERS = 120


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a JSON object names a member twice")
    return members


_decode = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_no_twins).decode
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def read_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that `raw` is; raises ValueError saying why it is none."""
    value = _decode(raw.decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError(f"a JSON {type(value).__name__}, not an object")
    return value


def canonical(value: Any) -> bytes:
    """Return the same bytes for structurally equal JSON."""
    return _encode(value).encode()


def shown(value: Any) -> str:
    """Write a value for a report, cut where it is long."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def differences(expected: dict[str, Any], found: dict[str, Any]) -> str:
    """Name each member that differs, with both values."""
    return "; ".join(
        f"{name}: expected {_member(expected, name)}, found {_member(found, name)}"
        for name in sorted(expected.keys() | found.keys())
        if name not in expected
        or name not in found
        or canonical(expected[name]) != canonical(found[name])
    )


def _member(members: dict[str, Any], name: str) -> str:
    return shown(members[name]) if name in members else "nothing"
