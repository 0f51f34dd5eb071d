"""The walk of an app: what holds data is found by its path, and nothing else."""

import functools
import logging
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import msgspec

from eventlog.extraction.walk import walk
from tests.domains.ledger import DOMAIN


@dataclass
class Order:
    name: str
    fills: list[int] = field(default_factory=list)


class Bar(msgspec.Struct, frozen=True):
    close: int


class Part:
    """An object of the app: what is given becomes an attribute."""

    def __init__(self, **held: Any) -> None:
        self.__dict__.update(held)


class Slotted:
    __slots__ = ("kept", "unset")


class Node(msgspec.Struct):
    orders: dict[str, Order]
    below: "Node | None" = None


REMEMBERED: list[Order] = [Order("global")]


def found(app: object, **options: Any) -> dict[str, str]:
    """Return what a walk finds beside the globals of this module: path → description."""
    walked = walk(app, **options)
    assert walked.complete
    return {one.path: one.description for one in walked.found if not one.path.startswith(__name__)}


def orders(*names: str) -> dict[str, Order]:
    return {name: Order(name) for name in names}


def test_containers_of_entities_are_found_by_their_paths() -> None:
    app = Part(
        engine=Part(orders=orders("a", "b"), bars=deque([Bar(1)])),
        seen={"x": 1},
        listed=[Order("z")],
    )

    assert found(app) == {
        "app.engine.orders": "dict of 2 Order",
        "app.engine.bars": "deque of 1 Bar",
        "app.listed": "list of 1 Order",
    }


def test_a_dict_of_rings_is_one_container() -> None:
    rings = defaultdict(deque, {"m": deque([Bar(1), Bar(2)]), "n": deque([Bar(3)])})

    assert found(Part(rings=rings)) == {"app.rings": "defaultdict of 3 Bar"}


def test_plain_values_are_data_where_there_are_many() -> None:
    app = Part(few=[1] * 99, many=[1.5] * 100, names={str(n) for n in range(100)})

    assert found(app) == {"app.many": "list of 100 values", "app.names": "set of 100 values"}
    assert "app.few" in found(app, many=99)


def test_what_cannot_change_is_no_store_and_is_looked_into() -> None:
    app = Part(pair=(1, {"k": orders("a")}), constants=tuple(range(500)), frozen=(Bar(1),))

    assert found(app) == {"app.pair[1]": "dict of 1 Order"}


def test_slots_structs_namespaces_and_cycles_are_followed() -> None:
    slotted, node = Slotted(), Node({}, Node(orders("deep")))
    slotted.kept = {"nodes": SimpleNamespace(inner=node)}  # type: ignore[attr-defined]
    app = Part(slotted=slotted, node=node)
    app.itself = app  # type: ignore[attr-defined]

    assert found(app)["app.node.below.orders"] == "dict of 1 Order"


def test_closures_bound_methods_and_partials_are_followed() -> None:
    def keeper() -> Callable[[], Any]:
        hidden = orders("closed")
        return lambda: hidden

    class Desk:
        def __init__(self) -> None:
            self.book = orders("method")

        def handle(self) -> None:
            """Be a callback."""

    app = Part(
        on_tick=keeper(), on_fill=Desk().handle, on_end=functools.partial(print, orders("part"))
    )

    assert found(app) == {
        "app.on_tick.<hidden>": "dict of 1 Order",
        "app.on_fill.book": "dict of 1 Order",
        "app.on_end(1)": "dict of 1 Order",
    }


def test_globals_and_class_attributes_of_the_apps_own_modules_are_found() -> None:
    class Registry:
        known = orders("shared")

    paths = {one.path for one in walk(Part(registry=Registry())).found}

    assert f"{__name__}.REMEMBERED" in paths
    assert any(path.endswith("Registry.known") for path in paths)


def test_what_memferry_and_the_standard_library_hold_is_not_looked_at() -> None:
    app = Part(domain=DOMAIN, logger=logging.getLogger("x"), kind=DOMAIN.kinds[0])

    assert found(app) == {}


def test_each_container_is_found_once() -> None:
    shared = orders("a")

    assert found(Part(one=shared, two=shared)) == {"app.one": "dict of 1 Order"}


def test_a_pruned_path_is_not_looked_below() -> None:
    app = Part(cache=Part(deep=orders("a")), book=orders("b"))

    assert found(app, prune=lambda path: path == "app.cache") == {"app.book": "dict of 1 Order"}


def test_a_walk_that_ends_at_its_bound_says_so() -> None:
    chain: Any = None
    for _ in range(50):
        chain = Part(next=chain)

    walked = walk(chain, objects_max=20)

    assert (walked.objects, walked.complete) == (20, False)


def test_an_attribute_that_would_run_code_is_not_read() -> None:
    class Lazy:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

        @property
        def costly(self) -> Any:
            raise AssertionError

    lazy = Lazy()
    lazy.__dict__["kept"] = orders("a")

    assert found(Part(lazy=lazy)) == {"app.lazy.kept": "dict of 1 Order"}


def test_a_container_that_changes_under_the_walk_is_looked_at_again() -> None:
    class Growing(dict[str, Order]):
        grown = False

        def __iter__(self) -> Iterator[str]:
            for key in super().__iter__():
                if not Growing.grown:
                    Growing.grown = True
                    self["late"] = Order("late")
                yield key

    assert found(Part(book=Growing(orders("a")))) == {"app.book": "Growing of 2 Order"}
