"""Replay in its plain form: empty the projection's tables, then apply the log to a position.

The state is `rebuilding` from the first moment, in the transaction that empties the tables; a
projector that is running is fenced by the rising term and waits. Killed on the way, the projection
stays `rebuilding`, and the next replay begins anew.
"""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from projector.audit.kept_digests import end_keeping
from projector.checkpoint import past_zombies
from projector.control_tables import State, set_state
from projector.fingerprint import store_fingerprint, tables_changed
from projector.renewal import renew
from projector.replay.opening import Work
from projector.replay.rebuild import finish, rebuild
from projector.replay.runs import end_run
from projector.replay.shadow import OnProgress
from projector.sql import query
from projector.trail import note
from schemas.domain import Domain
from schemas.position import format_offsets


async def replay_in_place(
    work: Work, run: str, position: Mapping[int, int], after: State, on_progress: OnProgress
) -> None:
    """Empty the projection and replay to a position; leave it in the state `after`.

    Raises: TablesBusy before anything changes; ReplayIncomplete where a partition stopped.
    """
    conn, name = work.conn, work.name
    end_keeping(conn, name)  # a migration's run that died may have left it
    _empty(conn, name, work.domain, position)
    await rebuild(work.settings, work.domain, name, position, on_progress=on_progress)
    finish(conn, name, work.domain)
    with conn.transaction():
        reason = f"replayed to {format_offsets(position)}" if after == "held" else ""
        set_state(conn, name, after, reason)
        end_run(conn, run, "finished")
        note(
            conn,
            "replay finished",
            {"state": "rebuilding"},
            {"projection": name, "position": format_offsets(position), "state": after},
        )


def _empty(
    conn: psycopg.Connection[Any], name: str, domain: Domain, target: Mapping[int, int]
) -> None:
    def empty() -> None:
        # Before the tables: a projector's transaction locks its checkpoints first, too.
        conn.execute(query("checkpoint_reset"), (name,))
        conn.execute(query("lanes_delete"), (name,))
        conn.execute(query("parked_clear"), (name,))  # what is parked now is found again
        if tables_changed(conn, name, domain):
            renew(conn, name, domain)
        store_fingerprint(conn, name, domain)
        conn.execute(
            sql.SQL("TRUNCATE {}").format(
                sql.SQL(", ").join(sql.Identifier(name, table) for table in domain.tables)
            )
        )
        set_state(conn, name, "rebuilding", f"replay to {format_offsets(target)}")

    past_zombies(conn, name, empty)
