"""`memferry swap`: tables beside the live ones, exchanged back or released."""

import asyncio
from contextlib import closing

from cyclopts import App

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from compose.cli.replay import say_kept
from projector.control_tables import connect, read_projection
from projector.replay.beside import beside_of
from projector.replay.undoing import release_kept, undo_swap

app = App(name="swap", help="Tables that a replay has swapped out: bring them back, release them.")


@app.command
def undo(*, common: Common = Common()) -> int:  # noqa: B008
    """Exchange the live tables with those that the newest swap kept, wherever they are.

    Undone again, all is as before.
    """
    settings, domain = common.load()
    done = asyncio.run(undo_swap(settings, domain))
    if common.json:
        print_json(done)
        return 0
    goes = "goes on" if done.state == "live" else "holds"
    out.print(f"projection {done.projection} is at {done.position} and {goes}", soft_wrap=True)
    say_kept(done.kept, done.pause_ms)
    return 0


@app.command
def release(*, common: Common = Common()) -> int:  # noqa: B008
    """Drop the tables that swaps have kept; those of savepoints stay."""
    settings, domain = common.load()
    released = asyncio.run(release_kept(settings, domain))
    if common.json:
        print_json({"released": released})
    else:
        out.print(f"released {', '.join(released)}" if released else "no swap has kept tables")
    return 0


@app.command(name="list")
def list_(*, common: Common = Common()) -> int:  # noqa: B008
    """Show all tables that stand beside the live ones."""
    settings, domain = common.load_hand_written()
    with closing(connect(settings, "swap list")) as conn:
        projection = read_projection(conn, settings.projection or domain.name)
        found = beside_of(conn, projection.name)
    if common.json:
        print_json(found)
        return 0
    table = grid("SCHEMA", "PURPOSE", "SAVEPOINT", "MADE")
    for one in found:
        table.add_row(one.name, one.purpose, one.savepoint, f"{one.made_at:%Y-%m-%d %H:%M:%S}")
    if found:
        out.print(table)
    else:
        out.print("nothing stands beside the live tables")
    return 0
