"""Tables beside compared with the fold of the log by digest, before they become the live ones.

A fold that an audit has kept makes that cost the events since; without one the whole log is folded,
which takes many times as long as to make the tables, so it is done where it is asked for.
"""

import shutil
from pathlib import Path

from projector.audit.fold_store import FoldInUse, FoldStore
from projector.audit.run import audit
from projector.checkpoint import offsets_of
from projector.replay.opening import Work
from schemas.errors import FerryError

_NEAR = 200_000
"""Events that are folded for it unasked: some seconds."""
_NAMED_MOST = 5


class ShadowDiffers(FerryError):
    """The tables that were made beside are not what the log says."""


async def verify(work: Work, shadow: str, *, asked: bool | None) -> str:
    """Compare a shadow with the fold of the log at its position; return what was compared.

    `asked`: whether to do it; None: where an audit has kept a fold that is near.
    Raises: ShadowDiffers, naming what differs.
    """
    if asked is False:
        return "not verified: it was not wanted"
    if not (_copied_from_near(work, shadow) or asked):
        return "not verified: no audit has kept a fold near the position; --verify folds the log"
    try:
        found = await audit(work.settings_of(shadow), work.domain, with_memory=False)
    finally:
        for left in _files(work, shadow):
            left.unlink(missing_ok=True)
    if found.findings:
        said = "; ".join(str(one) for one in found.findings[:_NAMED_MOST])
        raise ShadowDiffers(
            f"the tables made beside differ from the fold of the log: {said}",
            where=f"schema {shadow}",
            remedy="nothing was changed; look at the handlers, and at `evolve`, of what is named",
        )
    rows = sum(found.table_rows.values())
    return f"equal to the fold of the log, {rows:,} rows by digest"


def _copied_from_near(work: Work, shadow: str) -> bool:
    """Copy the kept fold of the live tables, where the shadow is a little further than it."""
    directory = work.settings.audit_path
    place = directory / _file(work, work.name) if directory is not None else None
    if place is None or not place.exists():
        return False
    try:
        store = FoldStore(place)
    except FoldInUse:
        return False
    try:
        folded = {partition: offset for partition, (offset, _) in store.places().items()}
        here = offsets_of(work.conn, shadow)
        distance = [offset - folded.get(partition, 0) for partition, offset in here.items()]
        near = min(distance) >= 0 and sum(distance) <= _NEAR
    finally:
        store.close()
    if near:
        shutil.copyfile(place, place.with_name(_file(work, shadow)))
    return near


def _file(work: Work, name: str) -> str:
    projection = work.projection
    return f"{name}-{projection.topic}.{projection.generation}.fold"


def _files(work: Work, shadow: str) -> list[Path]:
    directory = work.settings.audit_path
    return [] if directory is None else list(directory.glob(f"{_file(work, shadow)}*"))
