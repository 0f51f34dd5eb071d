"""`memferry replay`: empty the projection and apply the log to a position."""

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg

from compose.cli.context import Common
from compose.cli.output import out, print_json
from compose.cli.parked import warn_of_parked
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from projector.control_tables import State
from projector.replay.in_place import replay as replay_in_place
from projector.replay.target import savepoint_offsets
from schemas.errors import SettingsInvalid
from schemas.position import format_offsets, parse_offsets


def replay(
    *,
    to_offset: str | None = None,
    to_savepoint: str | None = None,
    to_end: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Empty the tables and replay the log to a position; the log keeps everything.

    A running projector waits meanwhile. At a position in the past the projection then holds;
    `--to-end` lets it go on. Exits with 1 where events were parked on the way.

    Parameters
    ----------
    to_offset
        Exclusive Kafka offsets for every partition: 0:120,1:98 (one number for one partition).
    to_savepoint
        The position that `memferry savepoint take` named.
    to_end
        Everything that the topic holds.
    """
    if sum((to_offset is not None, to_savepoint is not None, to_end)) != 1:
        raise SettingsInvalid(
            "replay needs exactly one target",
            remedy="give --to-offset OFFSETS, --to-savepoint NAME or --to-end",
        )
    settings, domain = common.load()
    name = settings.projection or domain.name
    tune_interpreter()

    def resolve(
        conn: psycopg.Connection[Any], bounds: dict[int, tuple[int, int]]
    ) -> Mapping[int, int]:
        if to_offset is not None:
            return parse_offsets(to_offset, len(bounds))
        if to_savepoint is not None:
            return savepoint_offsets(conn, name, to_savepoint)
        return {partition: end for partition, (_, end) in bounds.items()}

    after: State = "live" if to_end else "held"
    with StatusLine() as line:
        show = line.of_projector(f"replay {name}")
        reached = asyncio.run(replay_in_place(settings, domain, resolve, after, show))
    parked = warn_of_parked(settings, name)
    if common.json:
        print_json(
            {"projection": name, "position": reached, "state": after, "parked_streams": parked}
        )
    else:
        held = "goes on from there" if to_end else "holds there until `memferry replay --to-end`"
        out.print(f"projection {name} is at {format_offsets(reached)} and {held}")
    return 1 if parked else 0
