"""What a kind's rows are made with, as digests: handlers, upcasters and tables."""

import functools
import hashlib
import re
from typing import Any

import msgspec

from schemas.code_digest import code_digest, stated_fields
from schemas.domain import Kind
from schemas.tables import Table

_encode = msgspec.json.Encoder(order="deterministic").encode
_TOKEN = re.compile(
    r"(?P<gap>(?:\s|--[^\n]*|/\*.*?\*/)+)|(?P<end>;)"
    r"|'(?:[^']|'')*'|\"[^\"]*\"|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|[^\s;'\"$/-]+|.",
    re.DOTALL,
)
_CREATE = re.compile(
    r"(?:CREATE\s+(?:UNLOGGED\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?|ALTER\s+TABLE\s+(?:ONLY\s+)?)"
    r"(?:(\w+)|\"([^\"]+)\")",
    re.IGNORECASE,
)
_TYPE = re.compile(r"(?:CREATE|ALTER)\s+(?:TYPE|DOMAIN)\s", re.IGNORECASE)
TABLES = "tables"

Parts = dict[str, str]
"""Part of a kind (`handlers`, `tables`, and `upcaster TYPE` of each) → SHA-256 in hex."""


def fingerprint(kind: Kind, domain_ddl: str = "") -> Parts:
    """Return the digests of a kind's parts: the same on every machine for the same code."""
    if kind.description is not None:  # derived: all of it follows from the description
        described = digest_of(stated_fields(kind.description))
        return {"handlers": described, TABLES: described}
    tables = [[stated_fields(table), _created(table, domain_ddl)] for table in kind.tables]
    return {
        "handlers": code_digest(kind.project, kind.evolve, kind.rows, kind.events),
        TABLES: digest_of(tables),
        **{
            f"upcaster {name}": code_digest(upcaster.to, upcaster.struct, upcaster.step)
            for name, upcaster in kind.upcasters.items()
        },
    }


def changed_since(was: Parts, now: Parts) -> list[str]:
    """Return the parts that are not what they were; one that was not there is no change."""
    return [part for part, digest in was.items() if now.get(part) != digest]


def digest_of(value: Any) -> str:
    """Return the SHA-256, in hex, of a value as JSON in one order."""
    return hashlib.sha256(_encode(value)).hexdigest()


def _created(table: Table, ddl: str) -> list[str]:
    """Return the statements that make a table, without comments and layout."""
    return [statement for statement in _statements(ddl) if _makes(statement, table.name)]


@functools.cache
def _statements(ddl: str) -> list[str]:
    statements = [""]
    for token in _TOKEN.finditer(ddl):
        if token["end"]:
            statements.append("")
        elif not token["gap"]:
            statements[-1] += token[0]
        elif statements[-1]:
            statements[-1] += " "
    return [statement.strip() for statement in statements]


def _makes(statement: str, table: str) -> bool:
    if _TYPE.match(statement):  # a column of any table may be of it
        return True
    found = _CREATE.match(statement)
    return found is not None and table == (found[2] or found[1].lower())
