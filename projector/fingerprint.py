"""What a projection's rows were made with: handlers, upcasters and tables, kind by kind.

Live and rebuilt tables are equal only where both were made alike, so nobody applies to rows that
other code made: a replay makes them anew.
"""

from typing import Any

import msgspec
import psycopg

from projector.sql import query
from projector.trail import note
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.fingerprint import TABLES, Parts, changed_since, digest_of, fingerprint

_encode = msgspec.json.Encoder(order="deterministic").encode


Code = frozenset[tuple[str, str]]
"""(kind, digest of all its parts): what a projector makes rows with."""


class FingerprintChanged(FerryError):
    """The projection's rows were made with other handlers, upcasters or tables."""

    def __init__(self, projection: str, changed: dict[str, list[str]]) -> None:
        self.changed = changed
        said = "; ".join(f"{kind}: {', '.join(parts)}" for kind, parts in changed.items())
        super().__init__(
            f"the rows of projection {projection!r} were made with other code ({said})",
            where="memferry.fingerprint",
            remedy="`memferry replay --to-end` makes the tables anew from the log; `memferry "
            "project --accept-code` goes on where the rows would be the same; or run the domain "
            "that made them (`domain`)",
        )


def changed_parts(
    conn: psycopg.Connection[Any], projection: str, domain: Domain
) -> dict[str, list[str]]:
    """Return kind → the parts that are not what the projection's rows were made with.

    A kind or a version that the projection did not have yet is no change, nor is a kind that it
    alone has.
    """
    return _changed(conn, projection, _parts(domain))


def require_fingerprint(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> Code:
    """Check that a projection's rows were made with this code; note what is new to it.

    Raises: FingerprintChanged.
    """
    now = _parts(domain)
    changed = _changed(conn, projection, now)
    if changed:
        raise FingerprintChanged(projection, changed)
    _store(conn, projection, now)
    return frozenset((kind, digest_of(parts)) for kind, parts in now.items())


def made_with(conn: psycopg.Connection[Any], projection: str, code: Code) -> bool:
    """Say whether a projection's rows are still made with this code."""
    return code <= set(conn.execute(query("fingerprint_kinds"), (projection,)).fetchall())


def tables_changed(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> bool:
    """Say whether a projection's tables were, or may have been, made by other DDL than today's."""
    stored = {kind for kind, _ in conn.execute(query("fingerprint_kinds"), (projection,))}
    if any(kind.name not in stored for kind in domain.kinds):
        return True
    changed = changed_parts(conn, projection, domain)
    return any(TABLES in parts for parts in changed.values())


def made_by(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> bool:
    """Say whether a projection's tables and rows are, for every kind, of the code of now."""
    return not (changed_parts(conn, projection, domain) or tables_changed(conn, projection, domain))


def accept_code(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> bool:
    """Take the code of now for the one that made a projection's rows; say whether it differed.

    Somebody answers for it: it is in the audit trail, and an audit says whether it was right.
    """
    with conn.transaction():
        changed = changed_parts(conn, projection, domain)
        if changed:
            stored = dict(conn.execute(query("fingerprint_read"), (projection,)).fetchall())
            store_fingerprint(conn, projection, domain)
            now = dict(conn.execute(query("fingerprint_read"), (projection,)).fetchall())
            note(
                conn,
                "code accepted",
                {kind: stored[kind] for kind in changed},
                {"projection": projection, **{kind: now[kind] for kind in changed}},
            )
    return bool(changed)


def store_fingerprint(conn: psycopg.Connection[Any], projection: str, domain: Domain) -> None:
    """Note, in the caller's transaction, that all rows are made with this code from now on."""
    conn.execute(query("fingerprint_clear"), (projection,))
    _store(conn, projection, _parts(domain))


def _parts(domain: Domain) -> dict[str, Parts]:
    return {kind.name: fingerprint(kind, domain.ddl) for kind in domain.kinds}


def _changed(
    conn: psycopg.Connection[Any], projection: str, now: dict[str, Parts]
) -> dict[str, list[str]]:
    stored = dict(conn.execute(query("fingerprint_read"), (projection,)).fetchall())
    changed = {
        kind: changed_since(stored[kind], parts) for kind, parts in now.items() if kind in stored
    }
    return {kind: parts for kind, parts in changed.items() if parts}


def _store(conn: psycopg.Connection[Any], projection: str, now: dict[str, Parts]) -> None:
    for kind, parts in now.items():
        conn.execute(
            query("fingerprint_add"),
            (projection, kind, digest_of(parts), _encode(parts).decode()),
        )
