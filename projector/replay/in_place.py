"""Replay in its plain form: empty the projection's tables, then apply the log to a position.

The state is `rebuilding` from the first moment, in the transaction that empties the tables; a
projector that is running is fenced by the rising term and waits. Killed on the way, the projection
stays `rebuilding`, and the next replay begins anew.
"""

from collections.abc import Callable, Mapping
from typing import Any

import psycopg
from psycopg import sql

from projector.audit.kept_digests import end_keeping
from projector.checkpoint import past_zombies
from projector.control_tables import State, connect, establish, set_state
from projector.fingerprint import store_fingerprint, tables_changed
from projector.log import Log
from projector.migration.record import lock
from projector.progress import Progress
from projector.renewal import renew
from projector.replay.target import require_within
from projector.route import require_reads_in_memory
from projector.runner import Projector
from projector.sql import query
from projector.trail import note
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.position import FIRST_GENERATION, format_offsets, kafka_topic
from schemas.settings import Settings


class ReplayInProgress(FerryError):
    """Another replay works on the projection."""


class ReplayIncomplete(FerryError):
    """The replay did not reach its target; the projection stays `rebuilding`."""


async def replay(
    settings: Settings,
    domain: Domain,
    resolve: Callable[[psycopg.Connection[Any], dict[int, tuple[int, int]]], Mapping[int, int]],
    after: State,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[int, int]:
    """Empty the projection and replay to the position that `resolve(conn, bounds)` gives.

    `after` is the state the projection is left in: `held` at a position in the past, `live` at the
    end. Returns the offsets reached.
    Raises: PositionInvalid, SavepointUnknown, ReplayInProgress, MigrationInProgress,
            ReadsInPostgres, TablesBusy before anything changes;
            ReplayIncomplete where an event could not be applied.
    """
    async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as topic:
        bounds = await topic.bounds()
        partitions = topic.partitions
    conn = connect(settings, "replay")
    try:
        projection = establish(conn, settings, domain, partitions, renewing=True)
        row = conn.execute(query("replay_lock"), (projection.name,)).fetchone()
        if not (row and row[0]):
            raise ReplayInProgress(
                f"another replay works on projection {projection.name!r}",
                where="memferry.projection",
                remedy="wait for it; `memferry status` shows how far it is",
            )
        lock(conn, projection.name)
        require_reads_in_memory(conn, projection.name)
        target = dict(resolve(conn, bounds))
        require_within(target, bounds, kafka_topic(settings.topic, FIRST_GENERATION))
        end_keeping(conn, projection.name)  # a migration's run that died may have left it
        _empty(conn, projection.name, domain, target)
        runner = Projector(
            settings, domain, state="rebuilding", until=target, on_progress=on_progress
        )
        progress = await runner.run()
        if progress.stopped:
            partition, reason = next(iter(progress.stopped.items()))
            raise ReplayIncomplete(
                f"the replay stopped in partition {partition}: {reason.what}",
                where=reason.where,
                remedy=reason.remedy,
            ) from reason
        with conn.transaction():
            set_state(conn, projection.name, after, _reason(after, target))
            note(
                conn,
                "replay finished",
                {"state": "rebuilding"},
                {"projection": projection.name, "position": format_offsets(target), "state": after},
            )
    finally:
        conn.close()
    return target


def _empty(
    conn: psycopg.Connection[Any], name: str, domain: Domain, target: Mapping[int, int]
) -> None:
    def empty() -> None:
        row = conn.execute(query("projection_lock"), (name,)).fetchone()
        before = conn.execute(query("checkpoint_read"), (name,)).fetchall()
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
        note(
            conn,
            "replay started",
            {
                "state": row[4] if row else "",
                "position": format_offsets({r[0]: r[1] for r in before}),
            },
            {"projection": name, "target": format_offsets(target)},
        )

    past_zombies(conn, name, empty)


def _reason(after: State, target: Mapping[int, int]) -> str:
    return f"replayed to {format_offsets(target)}" if after == "held" else ""
