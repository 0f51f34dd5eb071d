"""EXTRACTING_SNAPSHOT: every running app says what it holds."""

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase
from schemas.requests import CatalogAnswer

_PATIENCE_S = 10.0
_LISTED = 20


class ExtractingSnapshot(Phase):
    """Asks each source for its catalog."""

    name = "EXTRACTING_SNAPSHOT"

    async def enter(self, run: Context) -> None:
        """Nothing to prepare."""

    async def work(self, run: Context) -> None:
        """Ask."""
        run.tell(waits_for="the apps' answers")
        answers = await run.effects.ask(run.found.sources, "catalog", _PATIENCE_S)
        run.found.catalog = [msgspec.convert(a, CatalogAnswer) for a in answers.values()]

    async def gate(self, run: Context) -> str:
        """Each source has its containers under the shim's care, and no other data beside them."""
        for answer in run.found.catalog:
            _require_all_mapped(answer)
            if not answer.stores:
                raise GateClosed(
                    f"source {answer.source!r} has no container under the shim's care",
                    where=f"source {answer.source}, process {answer.pid}",
                    remedy="call ferry.register(kind, container) for each, then run it again",
                )
        stores = [store for answer in run.found.catalog for store in answer.stores]
        missing = sorted({kind for answer in run.found.catalog for kind in answer.unregistered})
        entities = sum(store.entities for store in stores)
        found = f"{entities:,} entities in {len(stores)} stores" if stores else ""
        excluded = sum(len(answer.walked.excluded) for answer in run.found.catalog)
        if excluded:
            found = f"{found}; {excluded} paths of the app left out, with a reason"
        return f"{found}; no container for {', '.join(missing)}" if missing else found

    async def undo(self, run: Context) -> None:
        """Nothing was changed."""


def _require_all_mapped(answer: CatalogAnswer) -> None:
    walked = answer.walked
    where = f"source {answer.source}, process {answer.pid}"
    if walked.unmapped:
        listed = "\n".join(f"  {one.path}: {one.description}" for one in walked.unmapped[:_LISTED])
        more = len(walked.unmapped) - _LISTED
        raise GateClosed(
            f"source {answer.source!r} holds data that no store was registered for:\n{listed}"
            + (f"\n  and {more:,} more: `memferry extract` lists them" if more > 0 else ""),
            where=where,
            remedy="register each with ferry.register(kind, container), or leave it out with "
            'ferry.exclude(path, reason="..."); then run it again',
        )
    if not walked.complete:
        raise GateClosed(
            f"source {answer.source!r} was not walked to its end: after {walked.objects:,} objects "
            "some were left",
            where=where,
            remedy="leave out what holds no data with ferry.exclude(path, reason=...), or walk "
            "further: ferry.watch_app(app, objects_max=...)",
        )
