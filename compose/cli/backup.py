"""`memferry backup`: make, list and verify backups; `memferry restore`: the way back from one."""

import asyncio
import sys
from contextlib import closing
from typing import Literal

from cyclopts import App
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import err, grid, in_bytes, out, print_error, print_json, print_whole
from compose.cli.plan import NotConfirmed
from compose.cli.replay import say_kept
from projector.backup.manifest import Manifest
from projector.backup.restoring import look, restore
from projector.backup.shelf import BackupDamaged, Shelf
from projector.backup.taking import take
from projector.backup.verifying import verify
from projector.control_tables import ProjectionMissing, connect
from projector.replay.savepoints import checkpoint_position
from schemas.position import format_offsets
from schemas.settings import Settings

app = App(name="backup", help="Back the tables up, with all that belongs to them.")
How = Literal["listing", "restore"]


@app.command(name="take")
def take_(
    name: str = "",
    *,
    verify: How = "listing",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Make a backup of the projection's schema and the control tables, as of one moment.

    Projector, readers and the app go on meanwhile.

    Parameters
    ----------
    name
        Of the backup; without one it is called after projection and time.
    verify
        listing: read it again by digest and pg_restore's list. restore: also bring it into a
        scratch database, and count all rows; needs a role that may create databases.
    """
    settings, domain = common.load_hand_written()
    projection = settings.projection or domain.name
    with err.status("backing up"):
        manifest = take(settings, projection, name)
        if verify == "restore":
            _verify(settings, manifest.name, verify)
    if common.json:
        print_json(manifest)
        return 0
    place = Shelf(settings.backup_path).path(manifest.name)
    out.print(
        f"backup {manifest.name} is at {format_offsets(manifest.position)}: "
        f"{sum(manifest.rows.values()):,} rows, {in_bytes(manifest.dump.size_bytes)} in {place}",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    return 0


@app.command(name="list")
def list_(*, quick: bool = False, common: Common = Common()) -> int:  # noqa: B008
    """Show all backups, the oldest first. Exits with 1 where one is damaged.

    Parameters
    ----------
    quick
        Compare sizes only, not each byte of the dumps.
    """
    settings = common.settings()
    kept = Shelf(settings.backup_path).kept(bytes_too=not quick)
    damaged = [one for one in kept if one.damage]
    if common.json:
        print_json(kept)
        return 1 if damaged else 0
    table = grid("NAME", "MADE", "PROJECTION", "POSITION", "rows", "size", "VERIFIED", "BY")
    for one in kept:
        made = one.manifest
        state = f"by {one.verified.how}, {one.verified.at}" if one.verified else "never"
        table.add_row(
            one.name,
            f"{made.made_at:%Y-%m-%d %H:%M:%SZ}" if made else "?",
            made.projection if made else "?",
            format_offsets(made.position) if made else "?",
            f"{sum(made.rows.values()):,}" if made else "?",
            in_bytes(made.dump.size_bytes) if made else "?",
            Text("DAMAGED", "bold red") if one.damage else state,
            made.made_by if made else "?",
        )
    if kept:
        print_whole(table)
    else:
        out.print("no backups yet: `memferry backup take`")
    for one in damaged:
        err.print(Text(one.damage, "red"), soft_wrap=True)
    return 1 if damaged else 0


@app.command(name="verify")
def verify_(
    name: str,
    *,
    verify: How = "restore",
    common: Common = Common(),  # noqa: B008
) -> int:
    """Check that a backup is whole and comes back row for row. Exits with 1 where it does not.

    Parameters
    ----------
    name
        Of the backup.
    verify
        restore: into a scratch database, which is made and dropped. listing: by digest and
        pg_restore's list alone.
    """
    settings = common.settings()
    try:
        with err.status("verifying"):
            manifest = _verify(settings, name, verify)
    except BackupDamaged as error:
        print_error(error)
        return 1
    if common.json:
        print_json({"name": name, "how": verify, "rows": manifest.rows})
    else:
        rows = sum(manifest.rows.values())
        out.print(f"backup {name} is whole: {rows:,} rows, by {verify}", markup=False)
    return 0


def restore_(
    name: str,
    *,
    yes: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Make the tables of a backup the live ones; a projector then applies what came since.

    Into the database that went on as into an empty one. Running projectors are fenced and go on
    from there. Refused while reads are in PostgreSQL and the tables would go back.

    Parameters
    ----------
    name
        Of the backup: `memferry backup list`.
    yes
        Do not ask.
    """
    settings, domain = common.load()
    manifest = look(settings, domain, name)
    if not yes:
        _confirm(settings, manifest)
    with err.status("restoring") as status:
        done = asyncio.run(restore(settings, domain, name, status.update))
    if common.json:
        print_json(done)
        return 0
    goes = "goes on from there" if done.state == "live" else "holds there"
    out.print(
        f"projection {done.projection} was at {done.before or 'nothing'}; restored from {name}, it "
        f"is at {done.position} and {goes}: {sum(done.rows.values()):,} rows in "
        f"{done.seconds:.1f} s",
        soft_wrap=True, markup=False,
    )  # fmt: skip
    if done.kept:
        say_kept(done.kept, done.pause_ms)
    return 0


def _verify(settings: Settings, name: str, how: How) -> Manifest:
    return verify(settings, name, by_restore=how == "restore")


def _confirm(settings: Settings, manifest: Manifest) -> None:
    try:
        with closing(connect(settings, "restore")) as conn:
            now = str(checkpoint_position(conn, manifest.projection))
    except ProjectionMissing:
        now = "nothing"
    said = (
        f"projection {manifest.projection} goes from {now} to {format_offsets(manifest.position)}, "
        f"of {manifest.made_at:%Y-%m-%d %H:%M:%SZ}"
    )
    if not sys.stdin.isatty():
        raise NotConfirmed(
            f"{said}; there is no terminal to ask on",
            where=f"backup {manifest.name}",
            remedy="look at it with `memferry backup list`; then give --yes",
        )
    err.print(Text(f"{said}. The log keeps everything. Go on? [y/N] "), end="")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise NotConfirmed(
            "nothing was changed: it was not agreed to",
            where=f"backup {manifest.name}",
            remedy="run it again and answer y, or give --yes",
        )
