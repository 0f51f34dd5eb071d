"""What a shim watches beyond its stores: an app whose every container is mapped or excluded."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from eventlog.extraction.walk import MANY, OBJECTS_MAX, Walked, walk
from schemas.errors import FerryError
from schemas.requests import AppWalked, ContainerDescription


class ExclusionRefused(FerryError):
    """An exclusion says no path or no reason."""


class _Watched(NamedTuple):
    app: object
    name: str
    many: int
    objects_max: int


class AppWatch:
    """The apps that are watched, the containers mapped, the paths excluded."""

    def __init__(self) -> None:
        self._apps: list[_Watched] = []
        self._excluded: dict[str, str] = {}
        self._mapped: dict[int, tuple[Any, str]] = {}

    def watch(self, app: object, name: str, many: int = MANY, bound: int = OBJECTS_MAX) -> None:
        """Have an app walked whenever its containers are asked for."""
        self._apps.append(_Watched(app, name, many, bound))

    def exclude(self, path: str, reason: str) -> None:
        """Note that a container, and all below it, need not be in the log; and why.

        Raises: ExclusionRefused without a path or a reason.
        """
        if not path.strip() or not reason.strip():
            raise ExclusionRefused(
                "an exclusion needs a path and a reason",
                where=f"exclude({path!r}, reason={reason!r})",
                remedy='ferry.exclude("app.engine.cache", reason="derived from the orders")',
            )
        self._excluded[path] = reason

    def map(self, container: Any, kind: str) -> None:
        """Note that a container is a kind's store."""
        self._mapped[id(container)] = (container, kind)

    def look(self, also: Mapping[str, Any] = MappingProxyType({})) -> AppWalked:
        """Walk every app now: what is mapped, what is not, and which exclusions met nothing.

        `also` are containers by kind that are mapped for this once.
        """
        mapped = {id(container): kind for container, kind in self._mapped.values()}
        mapped |= {id(container): kind for kind, container in also.items()}
        unmapped: list[ContainerDescription] = []
        paths: dict[str, str] = {}
        met: set[str] = set()
        objects, complete = 0, True
        for watched in self._apps:
            found, looked, whole = self._walk(watched, met, mapped)
            objects, complete = objects + looked, complete and whole
            for one in found:
                kind = mapped.get(id(one.container), "")
                if kind:
                    paths.setdefault(kind, one.path)
                elif not self._is_excluded(one.path, watched.name, met):
                    unmapped.append(ContainerDescription(one.path, one.description))
        return AppWalked(
            len(self._apps),
            objects,
            complete,
            unmapped,
            {path: reason for path, reason in self._excluded.items() if path in met},
            sorted(set(self._excluded) - met),
            paths,
        )

    def _walk(self, watched: _Watched, met: set[str], mapped: dict[int, str]) -> Walked:
        return walk(
            watched.app,
            watched.name,
            many=watched.many,
            objects_max=watched.objects_max,
            prune=lambda path: self._is_excluded(path, watched.name, met),
            known=lambda container: id(container) in mapped,
        )

    def _is_excluded(self, path: str, name: str, met: set[str]) -> bool:
        """Say whether a path is excluded; with or without the app's own name before it."""
        short = path.removeprefix(f"{name}.")
        for excluded in (path, short):
            if excluded in self._excluded:
                met.add(excluded)
                return True
        return False
