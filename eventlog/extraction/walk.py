"""A walk of an app: every container that can be reached from it and holds what looks like data.

Followed are attributes, slots, the fields of dataclasses, Structs and attrs classes, containers,
closures, bound methods, class attributes, and the globals of the app's own modules. Not followed
are memferry and objects of the standard library other than containers. Nothing is called but the
containers' own reading methods.
"""

import dataclasses
import functools
import sys
import time
import types
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

OBJECTS_MAX = 100_000
"""Objects that a walk looks at, at most."""
ITEMS_MAX = 64
"""Values of one container that a walk looks into, at most."""
MANY = 100
"""A container of plain values is data from this many on."""
_OURS = frozenset(("eventlog", "schemas", "projector", "msgspec", "builtins", "typing"))
_CONTAINERS = (dict, list, tuple, deque, set, frozenset, types.MappingProxyType)
_PLAIN = (str, bytes, bytearray, int, float, complex, bool, type(None), range, slice, memoryview)
_TRIES = 5
_OBJECTS_A_BREATH = 256


class Found(NamedTuple):
    """A container that holds data; `entity` is the type of what it holds, None of plain values."""

    path: str
    container: Any
    entity: type | None
    items: int

    @property
    def description(self) -> str:
        """What it is, for people: `dict of 12 Order`."""
        of = self.entity.__name__ if self.entity else "values"
        return f"{type(self.container).__name__} of {self.items:,} {of}"


class Walked(NamedTuple):
    """What a walk found; not `complete` where it ended at its bound."""

    found: list[Found]
    objects: int
    complete: bool


def walk(
    app: object,
    name: str = "app",
    *,
    many: int = MANY,
    objects_max: int = OBJECTS_MAX,
    prune: Callable[[str], bool] = lambda _: False,
    known: Callable[[Any], bool] = lambda _: False,
) -> Walked:
    """Return the containers of data that can be reached from an object; paths begin with `name`.

    `prune` says of a path that neither it nor what is below it is looked at, `known` of a container
    that it is found, whatever it holds.
    """
    return _Walk(app, name, many, objects_max, prune, known).run()


class _Walk:
    def __init__(  # noqa: PLR0917
        self,
        app: object,
        name: str,
        many: int,
        objects_max: int,
        prune: Callable[[str], bool],
        known: Callable[[Any], bool],
    ) -> None:
        self._many = many
        self._objects_max = objects_max
        self._prune = prune
        self._known = known
        self._package = _package_of(app)
        self._queue: deque[tuple[str, Any]] = deque([(name, app)])
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # what was made on the way: an id is only true while it lives
        self._found: list[Found] = []

    def run(self) -> Walked:
        looked = 0
        while self._queue:
            path, value = self._queue.popleft()
            if isinstance(value, _PLAIN) or id(value) in self._seen or self._prune(path):
                continue
            if looked >= self._objects_max:
                return Walked(self._found, looked, False)
            if looked % _OBJECTS_A_BREATH == 0:
                time.sleep(0)  # the app's own threads want the interpreter's lock, too
            looked += 1
            self._seen.add(id(value))
            self._kept.append(value)
            self._look(path, value)
        return Walked(self._found, looked, True)

    def _look(self, path: str, value: Any) -> None:
        if isinstance(value, types.ModuleType):
            if _is_app(value.__name__, self._package):
                self._add_all((f"{path}.{name}", part) for name, part in _globals_of(value))
        elif isinstance(value, type):
            if _is_app(value.__module__, self._package):
                self._add_all(
                    (f"{path}.{name}", part)
                    for name, part in list(vars(value).items())
                    if not name.startswith("__") and _is_container(part)
                )
        elif _is_container(value):
            self._look_into(path, value)
        elif _is_followed(value):
            self._follow(path, value)

    def _look_into(self, path: str, container: Any) -> None:
        entity, items, plain = _holds(container)
        mutable = not isinstance(container, tuple | frozenset | types.MappingProxyType)
        data = entity is not None or (plain and items >= self._many)
        if (mutable and data) or self._known(container):
            self._found.append(Found(path, container, entity, items))
            return
        for label, part in _labelled(container):
            self._queue.append((f"{path}[{label}]", part))

    def _follow(self, path: str, value: Any) -> None:
        if isinstance(value, types.MethodType):
            self._queue.append((path, value.__self__))
            value = value.__func__
        if isinstance(value, functools.partial):
            self._add_all(
                (f"{path}({n})", part) for n, part in enumerate((value.func, *value.args))
            )
            self._add_all((f"{path}({n})", part) for n, part in value.keywords.items())
            return
        if isinstance(value, types.FunctionType):
            cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
            self._add_all((f"{path}.<{name}>", _content(cell)) for name, cell in cells)
            return
        self._add_all((f"{path}.{name}", part) for name, part in _attributes(value))
        cls = type(value)
        if _is_app(cls.__module__, self._package):
            self._queue.append((cls.__qualname__, cls))
            module = sys.modules.get(cls.__module__)
            if module is not None:
                self._queue.append((cls.__module__, module))

    def _add_all(self, parts: Iterator[tuple[str, Any]]) -> None:
        self._queue.extend(parts)


def _package_of(app: object) -> str:
    module = app.__name__ if isinstance(app, types.ModuleType) else type(app).__module__
    return module.partition(".")[0]


def _is_app(module: str, package: str) -> bool:
    top = module.partition(".")[0]
    return top == package and top not in _OURS


def _is_followed(value: Any) -> bool:
    top = type(value).__module__.partition(".")[0]
    if isinstance(value, types.MethodType | types.FunctionType | functools.partial):
        return True
    return top == "__main__" or (top not in _OURS and top not in sys.stdlib_module_names)


def _is_container(value: Any) -> bool:
    """Say whether a value is a container: of Python's own, or like one of them.

    What memferry made (a recorded collection) is none: it is under the shim's care already.
    """
    if type(value).__module__.partition(".")[0] in {"eventlog", "schemas"}:
        return False
    if isinstance(value, _CONTAINERS):
        return not hasattr(value, "_fields") or not isinstance(value, tuple)
    return isinstance(value, Mapping) and not isinstance(value, type)


def is_entity(value: Any) -> bool:
    """Say whether a value looks like an entity: a Struct, a dataclass or an attrs class."""
    return not isinstance(value, type) and (
        isinstance(value, msgspec.Struct)
        or dataclasses.is_dataclass(value)
        or hasattr(type(value), "__attrs_attrs__")
    )


def _holds(container: Any) -> tuple[type | None, int, bool]:
    """Return of which entities a container is, how many there are, and whether it is of plain data.

    Of containers of entities (a dict of deques) the entities are meant.
    """
    values = [part for _, part in _labelled(container)]
    if not values:
        return None, 0, False
    size = len(container)
    entities = [value for value in values if is_entity(value)]
    if entities:
        return type(entities[0]), size, False
    inner = [value for value in values if _is_container(value)]
    if inner and len(inner) == len(values) and isinstance(container, Mapping):
        kinds = [_holds(one) for one in inner]
        of = [kind for kind, _, _ in kinds if kind is not None]
        if of and len(set(of)) == 1:
            return of[0], sum(items for _, items, _ in kinds), False
    return None, size, all(isinstance(value, _PLAIN) or _is_flat(value) for value in values)


def _is_flat(value: Any) -> bool:
    """Say whether a value holds nothing that a walk would follow: money, a time, a plain tuple."""
    if _is_container(value):
        return all(isinstance(part, _PLAIN) or _is_flat(part) for _, part in _labelled(value))
    return not _is_followed(value) and not isinstance(value, types.ModuleType | type)


def _labelled(container: Any) -> list[tuple[str, Any]]:
    """Return some of a container's values, each with what it stands under, while others change it.

    A walk runs beside the app: where a container changes under it, it is looked at again.
    """
    for _ in range(_TRIES):
        try:
            if isinstance(container, Mapping):
                keys = _first(container)
                return [(repr(key), container[key]) for key in keys]
            return [(str(number), part) for number, part in enumerate(_first(container))]
        except (RuntimeError, KeyError):
            continue
    return []


def _first(values: Collection[Any]) -> list[Any]:
    found = []
    for value in values:
        found.append(value)
        if len(found) >= ITEMS_MAX:
            break
    return found


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _globals_of(module: types.ModuleType) -> Iterator[tuple[str, Any]]:
    for name, value in list(vars(module).items()):
        own = _is_followed(value) and not isinstance(value, types.FunctionType | type)
        if not name.startswith("__") and (own or _is_container(value)):
            yield name, value


def _attributes(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what an object holds, reading nothing that would run code of its own."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        held = {}
    yield from list(held.items())
    for cls in type(value).__mro__:
        for name, member in list(vars(cls).items()):
            if isinstance(member, types.MemberDescriptorType) and name not in held:
                try:
                    yield name, member.__get__(value)
                except AttributeError:  # a slot that is not set
                    continue
