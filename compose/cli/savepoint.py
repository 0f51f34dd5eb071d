"""`memferry savepoint`: name the present position, list the names."""

import asyncio

from cyclopts import App

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from projector.control_tables import connect
from projector.replay.savepoints import list_all, take
from schemas.position import format_offsets

app = App(name="savepoint", help="Name positions to replay to.")


@app.command(name="take")
def take_(name: str, *, common: Common = Common()) -> int:  # noqa: B008
    """Name the position that the projection has applied.

    Parameters
    ----------
    name
        The new savepoint's name; names are never moved.
    """
    settings, domain = common.load_hand_written()
    conn = connect(settings, "savepoint")
    try:
        projection = settings.projection or domain.name
        taken = asyncio.run(take(conn, settings, projection, name))
    finally:
        conn.close()
    if common.json:
        print_json(taken)
    else:
        out.print(f"savepoint {taken.name} is {format_offsets(taken.offsets)}")
    return 0


@app.command(name="list")
def list_(*, common: Common = Common()) -> int:  # noqa: B008
    """Show all savepoints of the projection, oldest first."""
    settings, domain = common.load_hand_written()
    conn = connect(settings, "savepoint")
    try:
        savepoints = list_all(conn, settings.projection or domain.name)
    finally:
        conn.close()
    if common.json:
        print_json(savepoints)
        return 0
    table = grid("NAME", "POSITION", "TAKEN", "BY")
    for point in savepoints:
        table.add_row(
            point.name, format_offsets(point.offsets), f"{point.taken_at:%Y-%m-%d %H:%M:%S}",
            point.taken_by,
        )  # fmt: skip
    out.print(table if savepoints else "no savepoints yet: `memferry savepoint take NAME`")
    return 0
