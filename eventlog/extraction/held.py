"""What is held by whom: consistent copies of a shim's stores, or of an app's own containers."""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from eventlog.catalog import Catalog
from eventlog.extraction.memory import estimate_bytes
from eventlog.extraction.survey import Held
from eventlog.extraction.walk import Found, walk
from eventlog.window_store import store_for
from schemas.domain import Domain, Kind
from schemas.errors import FerryError
from schemas.requests import AppWalked, CatalogAnswer, ContainerDescription, StoreDescription

_APP = "app"


class KindAmbiguous(FerryError):
    """Several containers hold entities of one kind, and nothing says which is meant."""


def held_by_shim(ferry: Catalog) -> list[Held]:
    """Return a shallow copy of each registered store, all of one moment."""
    with ferry.memory_lock:
        return [Held(store.kind, store.copy()) for store in ferry.stores().values()]


def held_in(containers: Mapping[str, Any], domain: Domain) -> list[Held]:
    """Return copies of containers by kind, as `register` would take them; raises StoreRefused."""
    return [
        Held(domain.kind(name), store_for(domain.kind(name), content).copy())
        for name, content in containers.items()
    ]


class AppHolds(NamedTuple):
    """What a walk found in an app: containers of the domain's kinds, and others."""

    kinds: list[tuple[Found, Held]]
    others: list[Found]

    @property
    def held(self) -> list[Held]:
        """The copies alone."""
        return [held for _, held in self.kinds]

    def describe(self, domain: Domain) -> CatalogAnswer:
        """Return it as a shim would; nothing of it is in any log."""
        stores = [_described(found, held) for found, held in self.kinds]
        present = {store.kind for store in stores}
        return CatalogAnswer(
            "",
            os.getpid(),
            stores,
            [kind.name for kind in domain.kinds if kind.name not in present],
            AppWalked(
                apps=1,
                unmapped=[ContainerDescription(one.path, one.description) for one in self.others],
                paths={held.kind.name: found.path for found, held in self.kinds},
            ),
        )


def held_by_app(app: object, domain: Domain) -> AppHolds:
    """Return copies of an app's containers whose entities are of the domain's kinds, by their type.

    Raises: KindAmbiguous, StoreRefused.
    """
    found = walk(app, _APP).found
    kinds = [pair for kind in domain.kinds if (pair := _of_kind(kind, found)) is not None]
    taken = {id(one.container) for one, _ in kinds}
    return AppHolds(kinds, [one for one in found if id(one.container) not in taken])


def _of_kind(kind: Kind, found: list[Found]) -> tuple[Found, Held] | None:
    own = [one for one in found if one.entity is kind.entity]
    mappings = [one for one in own if isinstance(one.container, Mapping)]
    meant = mappings or own
    # What the object itself holds is meant before what its module remembers.
    meant = [one for one in meant if one.path.startswith(_APP)] or meant
    if not meant:
        return None
    if len(meant) > 1:
        raise KindAmbiguous(
            f"{len(meant)} containers hold {kind.entity.__name__}: "
            f"{', '.join(one.path for one in meant)}",
            where=f"kind {kind.name}",
            remedy="write the one that is meant from within the app: "
            "eventlog.extraction.dump.dump(path, domain, {kind: container})",
        )
    (one,) = meant
    if mappings:
        return one, Held(kind, store_for(kind, one.container).copy())
    entities = list(one.container)
    return one, Held(kind, lambda: iter(entities))


def _described(found: Found, held: Held) -> StoreDescription:
    stream_of = held.kind.stream_getter()
    entities = sum(1 for _ in held.copy())
    streams = len({stream_of(entity) for entity in held.copy()})
    return StoreDescription(
        held.kind.name,
        held.kind.entity.__name__,
        type(found.container).__name__,
        streams,
        entities,
        streams,
        any(table.windowed for table in held.kind.tables),
        found.path,
        estimate_bytes(held.copy(), entities),
    )
