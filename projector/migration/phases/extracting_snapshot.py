"""EXTRACTING_SNAPSHOT: every running app says what it holds."""

import msgspec

from projector.migration.context import Context
from projector.migration.phase import GateClosed, Phase
from schemas.requests import CatalogAnswer

_PATIENCE_S = 10.0


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
        """Each source has its containers under the shim's care."""
        for answer in run.found.catalog:
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
        return f"{found}; no container for {', '.join(missing)}" if missing else found

    async def undo(self, run: Context) -> None:
        """Nothing was changed."""
