"""`memferry void`, `unvoid`, `voids`: ends of streams that do not count any more, and do again."""

import asyncio
from contextlib import closing
from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.parked import warn_of_parked
from compose.cli.plan import confirm, planned, show_plan
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from compose.cli.replay import say_kept
from compose.cli.target import TargetOptions
from projector.control_tables import connect
from projector.control_topic import read_control
from projector.replay.voiding import Voided, void_tail
from projector.replay.voiding import unvoid as reverse
from projector.voids import list_voids
from schemas.errors import SettingsInvalid


def void(
    *,
    reason: str,
    target: TargetOptions = TargetOptions(),  # noqa: B008
    stream: Annotated[tuple[str, ...], Parameter(negative=())] = (),
    all_streams: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Take whole ends of streams, from a position on, out of what counts.

    Memory, log and tables go on without them. The log keeps them, and `memferry unvoid` reverses
    it. Every app that writes must run. Exits with 1 where one did not decide in time.

    Parameters
    ----------
    reason
        Why, for the record.
    stream
        A stream, as trade/T-17; may be given several times.
    all_streams
        Of all streams, as `memferry rollback --void-tail` does.
    dry_run
        Say what would be set aside.
    yes
        Do not ask.
    """
    if bool(stream) is all_streams:
        raise SettingsInvalid(
            "a void needs streams", remedy="give --stream NAME, once for each, or --all-streams"
        )
    settings, domain = common.load()
    tune_interpreter()
    to = target.target()
    name = settings.projection or domain.name
    if dry_run or not yes:
        plan = planned(settings, domain, to, streams=stream)
        if dry_run:
            show_plan(plan, as_json=common.json)
            return 0
        confirm(plan)
    with StatusLine() as line:
        show = line.of_projector(f"void {name}")
        done = asyncio.run(
            void_tail(
                settings, domain, to, streams=stream, reason=reason, kind="void", on_progress=show
            )
        )
    return _end(done, common, warn_of_parked(settings, name))


def unvoid(
    void_id: str,
    *,
    reason: str,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Have what a void took away count again.

    Refused where newer events stand on what it left. Exits with 1 where an app did not decide in
    time.

    Parameters
    ----------
    void_id
        As `memferry voids` lists it.
    reason
        Why, for the record.
    """
    settings, domain = common.load()
    tune_interpreter()
    name = settings.projection or domain.name
    with StatusLine() as line:
        show = line.of_projector(f"unvoid {name}")
        done = asyncio.run(reverse(settings, domain, void_id, reason=reason, on_progress=show))
    return _end(done, common, warn_of_parked(settings, name))


def voids(*, common: Common = Common()) -> int:  # noqa: B008
    """Show every void of the topic, and which were reversed."""
    settings = common.settings()
    with closing(connect(settings, "voids")) as conn:
        asyncio.run(read_control(conn, settings))
        found = list_voids(conn, settings.topic)
    if common.json:
        print_json(found)
        return 0
    table = grid("VOID", "SOURCE", "DECIDED", "BY", "streams", "STATE", "REASON")
    for one in found:
        named = f"{len(one.void.streams):,}" if one.void.streams else "all"
        state = "in force" if one.restored_at is None else f"reversed by {one.restored_by}"
        table.add_row(
            one.void.id, one.void.source, f"{one.voided_at:%Y-%m-%d %H:%M:%S}", one.actor, named,
            state, one.reason,
        )  # fmt: skip
    if found:
        out.print(table)
    else:
        out.print("nothing is void")
    return 0


def say_voided(done: Voided) -> None:
    """Say what a void, or its reversal, has done."""
    out.print(
        f"void {done.void}: {done.streams:,} streams changed in memory; apps stood still for "
        f"{done.pause_ms:.0f} ms; memory, log and tables go on from {done.position}",
        soft_wrap=True,
    )
    say_kept(done.kept, done.reader_pause_ms)
    for source in done.left_out:
        err.print(
            f"source {source} did not decide within its lease: its streams stay as they are; run "
            "it again for them",
            soft_wrap=True,
        )


def _end(done: Voided, common: Common, parked: int) -> int:
    if common.json:
        print_json(done)
    else:
        say_voided(done)
    return 1 if done.left_out or parked else 0
