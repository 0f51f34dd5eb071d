"""The audit trail: every operator action, who, what, when, before and after, hash-chained."""

import datetime
import getpass
import hashlib
import socket
from collections.abc import Mapping
from typing import Any

import msgspec
import psycopg
from psycopg.types.json import Jsonb

from projector.sql import query

_GENESIS = hashlib.sha256(b"memferry trail").hexdigest()
_encode = msgspec.json.Encoder(order="deterministic").encode


def actor() -> str:
    """Return who is acting: the operating system's user and host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def note(
    conn: psycopg.Connection[Any],
    action: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any] | msgspec.Struct,
) -> None:
    """Add an action to the trail, in the caller's transaction: both happen or neither does."""
    then, now = (msgspec.to_builtins(value, str_keys=True) for value in (before, after))
    conn.execute(query("trail_lock"))
    newest = conn.execute(query("trail_newest")).fetchone()
    number, chain = newest or (0, _GENESIS)
    entry = {
        "id": number + 1,
        "at": datetime.datetime.now(datetime.UTC),
        "actor": actor(),
        "action": action,
        "before": then,
        "after": now,
    }
    entry["chain"] = link(chain, entry)
    conn.execute(query("trail_add"), entry | {"before": Jsonb(then), "after": Jsonb(now)})


def link(chain: str, entry: Mapping[str, Any]) -> str:
    """Return an entry's chain: the SHA-256 of the one before it and of its own content."""
    content = [
        entry["id"],
        entry["at"].astimezone(datetime.UTC).isoformat(timespec="microseconds"),
        entry["actor"],
        entry["action"],
        entry["before"],
        entry["after"],
    ]
    return hashlib.sha256(chain.encode() + _encode(content)).hexdigest()


def first_broken(conn: psycopg.Connection[Any]) -> int | None:
    """Return the number of the first entry that was altered, inserted or follows a removed one.

    None where the chain is whole. An entry removed from the end leaves no trace in the rest.
    """
    chain, expected = _GENESIS, 1
    for number, at, who, action, before, after, found in conn.execute(query("trail_read")):
        entry = {
            "id": number, "at": at, "actor": who, "action": action, "before": before,
            "after": after,
        }  # fmt: skip
        chain = link(chain, entry)
        if number != expected or chain != found:
            return int(expected)
        expected += 1
    return None
