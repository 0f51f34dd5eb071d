"""`memferry status`: where everything stands."""

import asyncio

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from projector.status import read_status


def status(*, common: Common = Common()) -> int:  # noqa: B008
    """Show the projection, its partitions and lag, the sources, and whether the trail is intact.

    Exits with 1 where a partition stopped or the audit trail was altered.
    """
    settings, domain = common.load()
    found = asyncio.run(read_status(settings, domain))
    stopped = [partition for partition in found.partitions if partition.stopped]
    if common.json:
        print_json(found)
    else:
        reason = f" ({found.reason})" if found.reason else ""
        out.print(f"projection [bold]{found.projection}[/] is {found.state}{reason}")
        table = grid("PARTITION", "applied to", "log ends at", "lag", "LAST APPLIED")
        for p in found.partitions:
            table.add_row(
                str(p.partition), f"{p.next_offset:,}", f"{p.end_offset:,}", f"{p.lag:,}",
                f"{p.updated_at:%Y-%m-%d %H:%M:%S}",
            )  # fmt: skip
        out.print(table)
        for source in found.sources:
            snapshot = "snapshot complete" if source.snapshot_at else "snapshot not complete"
            retired = ", retired" if source.retired_at else ""
            out.print(f"source {source.name}: {snapshot}{retired}")
        for partition in stopped:
            out.print(f"[bold red]partition {partition.partition} stopped[/]: ", end="")
            out.print(partition.stopped, markup=False)
        if not found.trail_intact:
            out.print("[bold red]the audit trail was altered[/]: see memferry.trail")
    return 1 if stopped or not found.trail_intact else 0
