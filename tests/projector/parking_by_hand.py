"""Events parked by hand, as a projector would have parked them."""

from typing import Any

import msgspec
import psycopg

REASON = "a row is inserted that is there already"


def park(
    conn: psycopg.Connection[Any],
    projection: str,
    stream: str,
    *,
    seq: int,
    partition: int,
    offset: int | None = None,
    source: str = "app-1",
    event_type: str = "ledger.account.deposited.v1",
    behind: bool = False,
    reason: str = REASON,
    event: bytes = b"",
    announced: bool = True,
) -> None:
    """One event is in memferry.parked; its lane is not moved."""
    place = f"table accounts; lane {source}/g1/p{partition}, seq {seq}, partition {partition}"
    if not event:
        data = {"account": stream.partition("/")[2], "amount": "1"}
        event = msgspec.json.encode({"type": event_type, "subject": stream, "data": data})
    conn.execute(
        "INSERT INTO memferry.parked (projection, partition, record_offset, source, generation, "
        "seq, stream, type, event, behind, reason, place) "
        "VALUES (%s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s)",
        (
            projection, partition, seq - 1 if offset is None else offset, source, seq, stream,
            event_type, event, behind, reason, place,
        ),
    )  # fmt: skip
    if announced:
        conn.execute("SELECT pg_notify('memferry_applied', %s)", (projection,))


def unpark(conn: psycopg.Connection[Any], projection: str) -> None:
    """Nothing is parked any more."""
    conn.execute("DELETE FROM memferry.parked WHERE projection = %s", (projection,))
    conn.execute("SELECT pg_notify('memferry_applied', %s)", (projection,))
