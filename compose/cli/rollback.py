"""`memferry rollback` and `memferry resume`: the tables look back, and go on; or all goes back."""

import asyncio

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.parked import warn_of_parked
from compose.cli.plan import confirm, planned, show_plan
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from compose.cli.replay import say_kept
from compose.cli.target import TargetOptions
from compose.cli.void import say_voided
from projector.migration.interface import ZeroDowntimeMigration
from projector.replay.look_back import LookedBack
from projector.replay.replaying import Way
from projector.replay.voiding import void_tail as void_the_tail
from schemas.errors import SettingsInvalid


def rollback(
    *,
    target: TargetOptions = TargetOptions(),  # noqa: B008
    void_tail: bool = False,
    reason: str = "",
    in_place: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Go back to a position: the tables alone, which hold there, or for good.

    Without `--void-tail` the tables look back and hold, and the app goes on; `memferry resume` goes
    forward. With it the ends of all streams behind the position do not count any more: memory, log
    and tables go on without them. The log keeps everything, and `memferry unvoid` reverses it.
    Refused while reads are in PostgreSQL. Exits with 1 where events were parked on the way.

    Parameters
    ----------
    void_tail
        Go back for good; every app that writes must run.
    reason
        Why, for the record; needed with `--void-tail`.
    in_place
        Empty the live tables and fill them again: needs no room beside, and readers see it.
    dry_run
        Say what would change, row by row in numbers, and change nothing.
    yes
        Do not ask.
    """
    if void_tail and in_place:
        raise SettingsInvalid(
            "a final rollback reaches the tables by a swap",
            remedy="leave `--in-place` out",
        )
    if void_tail and not reason and not dry_run:
        raise SettingsInvalid(
            "a final rollback needs a reason, which is kept in the log",
            remedy='give --reason "why"',
        )
    settings, domain = common.load()
    tune_interpreter()
    to = target.target()
    migration = ZeroDowntimeMigration(settings, domain)
    way: Way = "in_place" if in_place else "swap"
    if dry_run or not yes:
        with StatusLine() as line:
            show = line.of_projector(f"rollback {migration.projection}")
            plan = planned(settings, domain, to, rows=dry_run, on_progress=show)
        if dry_run:
            show_plan(plan, as_json=common.json)
            return 0
        confirm(plan)
    with StatusLine() as line:
        show = line.of_projector(f"rollback {migration.projection}")
        if void_tail:
            voided = asyncio.run(
                void_the_tail(settings, domain, to, reason=reason, on_progress=show)
            )
        else:
            result = migration.rollback(to, way=way, on_progress=show)
    code = 1 if warn_of_parked(settings, migration.projection) else 0
    if common.json:
        print_json(voided if void_tail else result)
    elif void_tail:
        say_voided(voided)
    else:
        _say(result)
    return 1 if void_tail and voided.left_out else code


def _say(result: LookedBack) -> None:
    table = grid("TABLE", "rows before", "rows now", "difference")
    for name, rows in result.rows.items():
        before = result.rows_before[name]
        table.add_row(name, f"{before:,}", f"{rows:,}", f"{rows - before:+,}")
    out.print(table)
    out.print(
        f"from {result.before} to {result.position}; {result.set_aside:,} records are set aside, "
        f"none is lost: `memferry resume` goes forward (savepoint {result.savepoint})",
        soft_wrap=True,
    )
    say_kept(result.kept, result.pause_ms)


def resume(*, timeout_s: float = 60.0, common: Common = Common()) -> int:  # noqa: B008
    """Let the tables go on from where they hold.

    Exits with 1 where they have not caught up yet, or events were parked.

    Parameters
    ----------
    timeout_s
        How long to watch the projector catch up.
    """
    settings, domain = common.load()
    migration = ZeroDowntimeMigration(settings, domain)
    with StatusLine() as line:
        show = line.of_projector(f"resume {migration.projection}")
        result = migration.resume(timeout_s=timeout_s, on_progress=show)
    if common.json:
        print_json(result)
    elif result.caught_up:
        out.print(
            f"went on from {result.position} and applied {result.behind:,} records in "
            f"{result.seconds:.1f} s",
            soft_wrap=True,
        )
    if not result.caught_up:
        err.print("the tables have not caught up yet: is `memferry project` running?")
    parked = warn_of_parked(settings, migration.projection)
    return 0 if result.caught_up and not parked else 1
