"""`memferry outbox`: what an outbox file holds, and whether it is whole."""

from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import err, grid, out, print_json
from eventlog.outbox.integrity import check_whole
from eventlog.outbox.opening import require_file
from eventlog.outbox.sqlite_reader import SqliteOutboxReader
from schemas.lane import CONTROL_PARTITION


def outbox(
    *,
    check: Annotated[bool, Parameter(negative=())] = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Show whose outbox the file is and what it holds; asks neither Kafka nor PostgreSQL.

    Exits with 1 where `--check` finds something.

    Parameters
    ----------
    check
        Read the whole file: its structure, and that every event continues the one before it.
    """
    settings = common.settings()
    require_file(settings, "`memferry outbox`")
    path = settings.outbox_path
    reader = SqliteOutboxReader(path)
    try:
        identity, heads = reader.identity, reader.heads()
        last, first, writer = reader.last_row(), reader.first_kept(), reader.writer()
    finally:
        reader.close()
    findings: list[str] = []
    if check:
        err.print(f"reading {path}", soft_wrap=True)
        _, findings = check_whole(path)
    if common.json:
        print_json(
            {
                "path": str(path), "source": identity.source, "topic": identity.topic,
                "generation": identity.generation, "bytes": path.stat().st_size,
                "writer": writer, "last_row": last, "first_kept": first, "lanes": heads,
                "checked": check, "findings": findings,
            }
        )  # fmt: skip
        return 1 if findings else 0
    out.print(
        f"outbox of [bold]{identity.source}[/], topic {identity.topic} generation "
        f"{identity.generation}: {last:,} events, {path.stat().st_size:,} bytes, writer {writer}"
    )
    if first > 1:
        out.print(f"pruned: events before row {first:,} are in the topic only")
    table = grid("LANE", "last seq", "epoch", "DIGEST")
    for partition, head in sorted(heads.items()):
        name = "control" if partition == CONTROL_PARTITION else str(partition)
        table.add_row(name, f"{head.seq:,}", str(head.epoch), head.digest[:16])
    out.print(table)
    for finding in findings:
        out.print("[bold red]found[/]: ", end="")
        out.print(finding, markup=False, soft_wrap=True)
    if check and not findings:
        out.print("every event continues the one before it")
    return 1 if findings else 0
