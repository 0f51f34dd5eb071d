"""The mends of a topic, as the control tables hold them."""

from typing import Any

import msgspec
import psycopg

from projector.sql import query
from schemas.mend import Mend

_decode = msgspec.json.Decoder(Mend).decode


def read_mends(conn: psycopg.Connection[Any], topic: str) -> tuple[Mend, ...]:
    """Return every mend of a topic (its base name), in the order of the decisions."""
    return tuple(_decode(row[0]) for row in conn.execute(query("mends_read"), (topic,)))
