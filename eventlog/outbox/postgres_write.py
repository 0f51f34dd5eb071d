"""What an append does to the PostgreSQL outbox, in whosever transaction."""

from collections.abc import Mapping, Sequence

import msgspec
from psycopg.rows import tuple_row

from eventlog.outbox.columns import Columns
from eventlog.outbox.contract import Command, KeptEvent
from eventlog.outbox.postgres_place import Connection
from eventlog.outbox.postgres_sql import query
from schemas.lane import LaneHead

_TYPES = ("int8", "int4", "int8", "bytea", "bytea")


def move_last_row(
    conn: Connection, schema: str, writer: int, last_row: int, columns: Columns
) -> bool:
    """Lock the outbox until the commit; False where it is another's, or not where it should be."""
    given = {"new": columns.rows[-1], "writer": writer, "old": last_row}
    with conn.cursor(row_factory=tuple_row) as cursor:
        return cursor.execute(query("last_row_move", schema), given).rowcount == 1


def write(
    conn: Connection,
    schema: str,
    columns: Columns,
    heads: Mapping[int, LaneHead],
    commands: Sequence[Command],
) -> None:
    """Insert numbered events, their lanes' heads, and the commands that recorded them."""
    streams = list(map(str.encode, columns.streams))
    with conn.cursor(row_factory=tuple_row) as cursor:
        with cursor.copy(query("event_copy", schema)) as copy:
            copy.set_types(_TYPES)
            for row in zip(
                columns.rows, columns.partitions, columns.seqs, streams, columns.events, strict=True
            ):
                copy.write_row(row)
        lanes = [(p, head.seq, head.digest, head.epoch) for p, head in heads.items()]
        cursor.execute(query("lanes_move", schema), list(map(list, zip(*lanes, strict=True))))
        for command in commands:
            if command.again:
                cursor.execute(query("command_drop", schema), (command.id.encode(),))
            first = columns.rows[0]
            kept = [
                KeptEvent(
                    event.row, event.event_id, event.partition, columns.seqs[event.row - first],
                    event.stream,
                )
                for event in command.events
            ]  # fmt: skip
            cursor.execute(
                query("command_add", schema),
                (kept[0].row, command.id.encode(), command.content, msgspec.json.encode(kept)),
            )
