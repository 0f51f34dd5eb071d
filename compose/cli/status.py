"""`memferry status`: where everything stands."""

import asyncio

import msgspec
from rich.text import Text

from compose.cli.context import Common
from compose.cli.output import grid, out, print_json
from eventlog.outbox.opening import has_outbox, open_reader
from eventlog.topic import heads_of
from projector.migration.record import MigrationRecord
from projector.parked import ParkedStream
from projector.status import RunStatus, read_status
from schemas.position import format_offsets
from schemas.settings import Settings

_SHOWN = 3


def status(*, common: Common = Common()) -> int:  # noqa: B008
    """Show outbox, projection, partitions and lag, sources, and whether the trail is intact.

    Exits with 1 where a partition stopped, events are parked, code has changed since the rows were
    made, or the audit trail was altered.
    """
    settings, domain = common.load_hand_written()
    found = asyncio.run(read_status(settings, domain))
    outbox = read_outbox(settings)
    stopped = [partition for partition in found.partitions if partition.stopped]
    if common.json:
        print_json({"outbox": outbox, **msgspec.structs.asdict(found)})
    else:
        reason = f" ({found.reason})" if found.reason else ""
        out.print(f"projection [bold]{found.projection}[/] is {found.state}{reason}")
        out.print(f"reads go to [bold]{found.route.route}[/], epoch {found.route.epoch}")
        if found.migration is not None:
            _show_migration(found.migration)
        if found.replay is not None:
            _show_run(found.replay)
        table = grid("PARTITION", "applied to", "log ends at", "lag", "LAST APPLIED")
        for p in found.partitions:
            table.add_row(
                str(p.partition), f"{p.next_offset:,}", f"{p.end_offset:,}", f"{p.lag:,}",
                f"{p.updated_at:%Y-%m-%d %H:%M:%S}",
            )  # fmt: skip
        out.print(table)
        if outbox is not None:
            out.print(
                f"outbox of {settings.source}: {outbox['durable']:,} events durable, "
                f"{outbox['waiting']:,} wait for Kafka"
            )
        for source in found.sources:
            snapshot = "snapshot complete" if source.snapshot_at else "snapshot not complete"
            retired = ", retired" if source.retired_at else ""
            out.print(f"source {source.name}: {snapshot}{retired}")
        _show_voids(found.voids, found.voids_not_obeyed)
        kept = [one.name for one in found.beside if one.purpose != "shadow"]
        if kept:
            out.print(f"kept beside: {', '.join(kept)} (`memferry swap list`)", soft_wrap=True)
        for partition in stopped:
            out.print(f"[bold red]partition {partition.partition} stopped[/]: ", end="")
            out.print(partition.stopped, markup=False)
        _show_parked(found.parked)
        for kind, parts in found.changed.items():
            out.print(f"[bold yellow]changed[/]: kind {kind}: {', '.join(parts)}")
        if not found.trail_intact:
            out.print("[bold red]the audit trail was altered[/]: see memferry.trail")
    sound = found.trail_intact and not (stopped or found.parked or found.changed)
    return 0 if sound else 1


def _show_voids(in_force: list[str], not_obeyed: list[str]) -> None:
    if in_force:
        out.print(f"voids in force: {len(in_force):,} (`memferry voids` lists them)")
    for void in not_obeyed:
        out.print(
            f"[bold yellow]void {void}[/]: the tables do not follow the log yet; where no rollback "
            "goes on: `memferry replay --to-end`",
            soft_wrap=True,
        )


def _show_parked(streams: list[ParkedStream]) -> None:
    if not streams:
        return
    events = sum(parked.events for parked in streams)
    out.print(f"[bold yellow]parked[/]: {events:,} events of {len(streams):,} streams")
    for parked in streams[:_SHOWN]:
        line = f"  {parked.stream} since {parked.since:%Y-%m-%d %H:%M:%S}: {parked.reason}"
        out.print(Text(line), soft_wrap=True)
    out.print("next: `memferry parked list` shows all of them")


def _show_migration(migration: MigrationRecord) -> None:
    mode = migration.mode.replace("_", " ")
    if migration.state == "running":
        out.print(
            f"{mode} migration by {migration.holder}: phase [bold]{migration.phase}[/] since "
            f"{migration.phase_since:%Y-%m-%d %H:%M:%S}",
            soft_wrap=True,
        )
        return
    ended = f"{migration.ended_at:%Y-%m-%d %H:%M:%S}" if migration.ended_at else "unknown"
    why = f": {migration.reason}" if migration.reason else ""
    out.print(f"last {mode} migration: {migration.state} at {ended}{why}", soft_wrap=True)


def _show_run(found: RunStatus) -> None:
    run = found.run
    if run.state != "running":
        ended = f"{run.ended_at:%Y-%m-%d %H:%M:%S}" if run.ended_at else "unknown"
        why = f": {run.detail}" if run.detail else ""
        line = f"last {run.kind}: {run.state} at {ended}{why}"
    elif found.alive:
        line = f"{run.kind} by {run.holder}: {run.step} since {run.started_at:%Y-%m-%d %H:%M:%S}"
        if found.making:
            line += f"; at {format_offsets(found.making)} of {run.plan.get('position', '')}"
    else:
        line = (
            f"the {run.kind} of {run.started_at:%Y-%m-%d %H:%M:%S} died at its step {run.step}: "
            "the next replay, rollback or void finishes or undoes it"
        )
    out.print(Text(line), soft_wrap=True)


def read_outbox(settings: Settings) -> dict[str, int] | None:
    """Return how many events this machine's outbox holds and Kafka lacks, None without one."""
    if not settings.source or not has_outbox(settings):
        return None
    reader = open_reader(settings)
    try:
        in_topic = asyncio.run(
            heads_of(settings, reader.identity.source, reader.identity.generation)
        )
        sent = sum(head.seq for head in in_topic.values())
        durable = sum(head.seq for head in reader.heads().values())
    finally:
        reader.close()
    return {"durable": durable, "waiting": max(0, durable - sent)}
