"""`memferry rollback` and `memferry resume`: the tables look back, and go on."""

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from compose.cli.parked import warn_of_parked
from compose.cli.progress import StatusLine
from compose.cli.project import tune_interpreter
from projector.migration.interface import ZeroDowntimeMigration
from schemas.errors import SettingsInvalid


def rollback(
    *,
    to_savepoint: str | None = None,
    to_offset: str | None = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Take the tables back to a position and hold them there; the app goes on.

    Refused while reads are in PostgreSQL. The log keeps everything: `memferry resume` goes forward.
    Exits with 1 where events were parked on the way.

    Parameters
    ----------
    to_savepoint
        The position that `memferry savepoint take`, or a migration, named.
    to_offset
        Exclusive Kafka offsets for every partition: 0:120,1:98 (one number for one partition).
    """
    if (to_savepoint is None) is (to_offset is None):
        raise SettingsInvalid(
            "a rollback needs exactly one target",
            remedy="give --to-savepoint NAME (`memferry savepoint list`) or --to-offset OFFSETS",
        )
    settings, domain = common.load()
    tune_interpreter()
    migration = ZeroDowntimeMigration(settings, domain)
    with StatusLine() as line:
        result = migration.rollback(
            to_savepoint=to_savepoint,
            to_offset=to_offset,
            on_progress=line.of_projector(f"rollback {migration.projection}"),
        )
    code = 1 if warn_of_parked(settings, migration.projection) else 0
    if common.json:
        print_json(result)
        return code
    table = grid("TABLE", "rows before", "rows now", "difference")
    for name, rows in result.rows.items():
        before = result.rows_before[name]
        table.add_row(name, f"{before:,}", f"{rows:,}", f"{rows - before:+,}")
    out.print(table)
    out.print(
        f"from {result.before} to {result.position}; {result.set_aside:,} records are set aside, "
        "none is lost: `memferry resume` goes forward",
        soft_wrap=True,
    )
    return code


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
