"""The way back from a backup: its tables are filled beside the live ones, and then swapped in.

Until the swap nothing of the live tables is touched, and the swap is one transaction; so a restore
that is killed anywhere leaves the old tables or the new ones, and the next one begins anew. What
the control topic says goes before what the backup remembers.
"""

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec

from projector.backup.history import bring_history
from projector.backup.loading import Archive, load_tables
from projector.backup.manifest import Manifest
from projector.backup.programs import find_programs
from projector.backup.shelf import DUMP, Shelf
from projector.checkpoint import offsets_of
from projector.control_topic import read_control
from projector.decisions import publish_decisions
from projector.replay import shadow as shadows
from projector.replay.beside import beside_of, drop, make
from projector.replay.opening import Work, opened
from projector.replay.runs import begin_run, end_run
from projector.replay.settling import settle
from projector.replay.surroundings import require_replaceable
from projector.replay.swapping import swap
from projector.route import require_reads_in_memory
from projector.trail import note
from projector.voids import fits
from schemas.control_format import require_format
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.fingerprint import changed_since, fingerprint
from schemas.position import format_offsets
from schemas.settings import Settings

_MAJOR = 10_000


class RestoreRefused(FerryError):
    """The backup does not belong here."""


class Restored(msgspec.Struct, frozen=True):
    """A restore that took place."""

    name: str
    projection: str
    before: str
    """Where the tables were."""
    position: str
    state: str
    rows: dict[str, int]
    trail: int
    """Entries of the audit trail that came with it, as the database did not have them."""
    kept: str
    """Where the tables are that were live before; empty: they held nothing."""
    pause_ms: float
    seconds: float


def look(settings: Settings, domain: Domain, name: str) -> Manifest:
    """Return what a backup says of itself, once it is whole and belongs to these settings.

    Raises: BackupUnknown, BackupDamaged, RestoreRefused, FormatMismatch.
    """
    manifest = Shelf(settings.backup_path).require_whole(name)
    mine = (settings.projection or domain.name, settings.topic)
    if (manifest.projection, manifest.topic) != mine:
        raise RestoreRefused(
            f"backup {name!r} is of projection {manifest.projection!r} and topic "
            f"{manifest.topic!r}, the settings say {mine[0]!r} and {mine[1]!r}",
            where=str(settings.backup_path),
            remedy="set `projection` and `topic` to the backup's, or use another backup",
        )
    require_format(manifest.control_format)
    changed = {
        kind.name: changed_since(manifest.code[kind.name], fingerprint(kind, domain.ddl))
        for kind in domain.kinds
        if kind.name in manifest.code
    }
    said = "; ".join(f"{kind}: {', '.join(parts)}" for kind, parts in changed.items() if parts)
    if said:
        raise RestoreRefused(
            f"the rows of backup {name!r} were made with other code ({said})",
            where=str(settings.backup_path),
            remedy="`memferry replay --to-end` makes the tables from the log; or run the domain "
            "that made the backup (`domain`)",
        )
    return manifest


async def restore(
    settings: Settings,
    domain: Domain,
    name: str,
    tell: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Make a backup's tables the live ones; a projector then goes on from their checkpoints.

    Works on a running projection and on an empty database alike. `tell` is given what is done.
    Raises: what `look` raises; ReplayInProgress, MigrationInProgress, ReadsInPostgres, SwapRefused,
            TrailForked, OffsetsGone, LogReplaced before anything changes; TablesInUse.
    """
    started = time.monotonic()
    tell("checking the backup")
    manifest = await asyncio.to_thread(look, settings, domain, name)
    async with opened(settings, domain, "restore") as work:
        await settle(work)
        before = offsets_of(work.conn, work.name)
        await _require_possible(work, manifest, before)
        dump = Shelf(settings.backup_path).path(name) / DUMP
        programs = find_programs(settings, work.conn.info.server_version)
        archive = Archive(programs, dump, manifest)
        run, added = _begin(work, archive, before)
        try:
            await publish_decisions(work.conn, settings)
            await read_control(work.conn, settings)
            tell("filling the tables")
            shadow, rows = await asyncio.to_thread(_fill, work, archive, run)
            await shadows.complete(work, shadow)
            tell("swapping")
            done = await swap(work, run, shadow, manifest.state, manifest.reason, "restored")
        except Exception as error:
            if not work.conn.closed:
                end_run(work.conn, run, "undone", str(error).splitlines()[0])
                _clear(work)
            raise
        kept = done.kept
        if not any(before.values()):
            drop(work.conn, kept)
            kept = ""
    return Restored(
        name, work.name, format_offsets(before), format_offsets(done.position), manifest.state,
        rows, added, kept, done.pause_ms, time.monotonic() - started,
    )  # fmt: skip


async def _require_possible(work: Work, manifest: Manifest, before: Mapping[int, int]) -> None:
    """Check that nothing but the tables need be touched, and that the log still goes on there."""
    conn, projection = work.conn, work.projection
    server = conn.info.server_version // _MAJOR
    made_on = manifest.server_version // _MAJOR
    differing = {
        "topic generation": (manifest.generation, projection.generation),
        "number of partitions": (manifest.partitions, projection.partitions),
        "version of PostgreSQL": (made_on, min(made_on, server)),
    }
    for what, (its, mine) in differing.items():
        if its != mine:
            raise RestoreRefused(
                f"backup {manifest.name!r} has another {what}: {its}, not {mine}",
                where=f"projection {work.name}",
                remedy="restore it where it belongs; `memferry replay --to-end` makes the tables "
                "from the log",
            )
    if any(before.get(partition, 0) > offset for partition, offset in manifest.position.items()):
        require_reads_in_memory(conn, work.name)  # forward, readers miss nothing
    require_replaceable(conn, work.name, work.domain)
    await work.log.start_at(manifest.position, manifest.tails)


def _begin(work: Work, archive: Archive, before: Mapping[int, int]) -> tuple[str, int]:
    """Record the restore behind all that the backup knows of the past; return run and entries."""
    manifest, conn = archive.manifest, work.conn
    plan = {
        "backup": manifest.name, "position": format_offsets(manifest.position),
        "sha256": manifest.dump.sha256,
    }  # fmt: skip
    with conn.transaction():
        added = bring_history(conn, work.settings, archive)
        run = begin_run(conn, work.name, "restore", "building", plan)
        note(
            conn,
            "restore started",
            {"state": work.projection.state, "position": format_offsets(before)},
            {"projection": work.name, "run": run, **plan},
        )
    return run, added


def _fill(work: Work, archive: Archive, run: str) -> tuple[str, dict[str, int]]:
    conn, manifest = work.conn, archive.manifest
    _clear(work)
    shadow = make(conn, work.name, work.domain, "shadow", run=run)
    rows = load_tables(conn, archive, shadow, work.domain.tables)
    if not fits(conn, work.settings.topic, shadow):
        raise RestoreRefused(
            f"backup {manifest.name!r} holds what was voided since, or lacks what was restored",
            where=f"position {format_offsets(manifest.position)}",
            remedy="use an older backup, or `memferry replay --to-end`, which obeys the voids",
        )
    return shadow, rows


def _clear(work: Work) -> None:
    """Drop what a run that died, or this one, has left beside."""
    for left in beside_of(work.conn, work.name, "shadow"):
        drop(work.conn, left.name)
