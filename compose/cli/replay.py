"""`memferry replay`: make the tables anew from the log, up to a position."""

import asyncio

from compose.cli.context import Common
from compose.cli.output import out, print_json
from compose.cli.parked import warn_of_parked
from compose.cli.plan import planned, show_plan
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from compose.cli.target import TargetOptions
from projector.replay.replaying import Replayed, Way
from projector.replay.replaying import replay as replay_to


def replay(
    *,
    target: TargetOptions = TargetOptions(),  # noqa: B008
    in_place: bool = False,
    verify: bool | None = None,
    dry_run: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Make the tables anew from the log, up to a position; the log keeps everything.

    They are made beside the live ones and take their place in one step, so readers see the old
    tables or the new ones; the old ones are kept until `memferry swap release`. From the log's end
    the projection goes on, at any other position it holds until `memferry resume`. Exits with 1
    where events were parked on the way.

    Parameters
    ----------
    in_place
        Empty the live tables and fill them again: needs no room beside, and readers see it.
    verify
        Compare the new tables with the fold of the log before the swap; unasked, where an audit has
        kept a fold that is near.
    dry_run
        Make the tables beside, say what would change, and drop them.
    """
    settings, domain = common.load()
    name = settings.projection or domain.name
    tune_interpreter()
    to = target.target()
    with StatusLine() as line:
        show = line.of_projector(f"replay {name}")
        if dry_run:
            plan = planned(settings, domain, to, rows=True, on_progress=show)
        else:
            way: Way = "in_place" if in_place else "swap"
            done = asyncio.run(
                replay_to(settings, domain, to, way=way, verified=verify, on_progress=show)
            )
    if dry_run:
        show_plan(plan, as_json=common.json)
        return 0
    parked = warn_of_parked(settings, name)
    if common.json:
        print_json({"parked_streams": parked, **_as_dict(done)})
    else:
        _say(done)
    return 1 if parked else 0


def _as_dict(done: Replayed) -> dict[str, object]:
    return {field: getattr(done, field) for field in done.__struct_fields__}


def _say(done: Replayed) -> None:
    held = "goes on from there" if done.state == "live" else "holds there until `memferry resume`"
    out.print(f"projection {done.projection} is at {done.position} and {held}", soft_wrap=True)
    if done.verified:
        out.print(done.verified, soft_wrap=True)
    say_kept(done.kept, done.pause_ms)


def say_kept(kept: str, pause_ms: float) -> None:
    """Say where the tables are that a swap has taken away, and what readers felt of it."""
    if kept:
        out.print(
            f"readers waited {pause_ms:.0f} ms at most; the tables before are kept in schema "
            f"{kept}: `memferry swap undo` brings them back, `memferry swap release` drops them",
            soft_wrap=True,
        )
