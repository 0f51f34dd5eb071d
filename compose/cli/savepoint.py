"""`memferry savepoint`: name the present position, list, compare and drop the names."""

import asyncio
from collections.abc import Mapping
from contextlib import closing

from cyclopts import App

from compose.cli.context import Common
from compose.cli.output import err, grid, in_bytes, out, print_error, print_json, print_whole
from compose.cli.plan import show_plan
from projector.control_tables import connect
from projector.log import BrokerUnreachable, Log
from projector.replay.savepoint_diff import diff
from projector.replay.savepoint_drop import drop
from projector.replay.savepoint_list import Listed, listed
from projector.replay.savepoint_tables import sizes
from projector.replay.savepoints import take
from schemas.position import FIRST_GENERATION, format_offsets, kafka_topic
from schemas.settings import Settings

app = App(name="savepoint", help="Name positions to go back to.")
_AGES = ((86_400, "d"), (3_600, "h"), (60, "min"))


@app.command(name="take")
def take_(
    name: str,
    *,
    keep_tables: bool = False,
    note: str = "",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Name the position that the projection has applied.

    Parameters
    ----------
    name
        The new savepoint's name; names are never moved, nor used again.
    keep_tables
        Copy the tables, too: going back then costs the distance, not the whole log. Projectors and
        readers go on meanwhile; it takes as much room as the tables do.
    note
        Why it is taken, for whoever reads the list.
    """
    settings, domain = common.load() if keep_tables else common.load_hand_written()
    projection = settings.projection or domain.name
    with closing(connect(settings, "savepoint")) as conn:
        keep = domain if keep_tables else None
        taken = asyncio.run(take(conn, settings, projection, name, remark=note, keep=keep))
        kept = sizes(conn, projection).get(name)
    if common.json:
        print_json(taken)
    else:
        beside = "" if kept is None else f", with a copy of the tables, {in_bytes(kept)}"
        out.print(
            f"savepoint {taken.name} is {format_offsets(taken.offsets)}{beside}", soft_wrap=True
        )
    return 0


@app.command(name="list")
def list_(*, common: Common = Common()) -> int:  # noqa: B008
    """Show all savepoints of the projection, oldest first."""
    settings, domain = common.load_hand_written()
    with closing(connect(settings, "savepoint")) as conn:
        points = listed(conn, settings.projection or domain.name, _ends(settings))
    if common.json:
        print_json(points)
        return 0
    table = grid("NAME", "POSITION", "age", "records since", "TABLES", "BY", "NOTE")
    for point in points:
        table.add_row(
            point.name, format_offsets(point.offsets), _age(point.age_s),
            "?" if point.since is None else f"{point.since:,}", _tables(point), point.taken_by,
            point.note,
        )  # fmt: skip
    if points:
        print_whole(table)
    else:
        out.print("no savepoints yet: `memferry savepoint take NAME`")
    return 0


@app.command(name="diff")
def diff_(first: str, second: str, *, common: Common = Common()) -> int:  # noqa: B008
    """Show what is between two savepoints: events by kind, and rows where both keep tables.

    It is said as what going back from the later to the earlier would set aside; nothing is changed.

    Parameters
    ----------
    first
        A savepoint's name.
    second
        Another one's; `now`: where the tables are.
    """
    settings, domain = common.load()
    with closing(connect(settings, "savepoint")) as conn:
        found = asyncio.run(diff(conn, settings, domain, first, second))
    show_plan(found, as_json=common.json)
    if found.tables is None:
        err.print("rows are not compared: not both keep tables (`savepoint take --keep-tables`)")
    return 0


@app.command(name="drop")
def drop_(name: str, *, common: Common = Common()) -> int:  # noqa: B008
    """Take a position's name away, with the tables kept there; the log keeps everything.

    Parameters
    ----------
    name
        Of the savepoint. It stays used: no other savepoint gets this name.
    """
    settings, domain = common.load_hand_written()
    projection = settings.projection or domain.name
    with closing(connect(settings, "savepoint")) as conn:
        freed = sizes(conn, projection).get(name)
        dropped = asyncio.run(drop(conn, settings, projection, name))
    if common.json:
        print_json(dropped)
    else:
        beside = "" if freed is None else f", and its tables with it, {in_bytes(freed)}"
        out.print(f"savepoint {name} is dropped{beside}", soft_wrap=True)
    return 0


def _ends(settings: Settings) -> Mapping[int, int] | None:
    """Return where the log ends; without Kafka the rest of the list is still worth showing."""

    async def bounds() -> Mapping[int, int]:
        async with Log(settings, kafka_topic(settings.topic, FIRST_GENERATION)) as log:
            return {partition: end for partition, (_, end) in (await log.bounds()).items()}

    try:
        return asyncio.run(bounds())
    except BrokerUnreachable as error:
        print_error(error)
        err.print("how many records came since is not known")
        return None


def _tables(point: Listed) -> str:
    if point.tables == "kept":
        return f"kept, {in_bytes(point.tables_bytes or 0)}"
    return "tables used" if point.tables else ""


def _age(seconds: float) -> str:
    for length, unit in _AGES:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
