"""What cannot be recorded is refused before anything has changed, with cause and next step."""

import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from eventlog.entry import EventTooLarge, FerryClosed, MutationNested
from eventlog.recorded.refusals import KeyDiffers, OwnedElsewhere, Unwatchable
from eventlog.stores import StoreRefused
from schemas.derived.describe import KindNotDerivable
from schemas.domain import DomainInvalid
from schemas.errors import FerryError
from schemas.validity import EventInvalid
from tests.eventlog.recorded.making import Book
from tests.eventlog.recorded.types_in_use import Fill, StructTrade, fill, trade


class Foreign:
    pass


def _class_with(declared: Any) -> type:
    return msgspec.defstruct("Odd", [("id", str), ("field", declared)])


@pytest.mark.parametrize(
    ("declared", "remedy"),
    [
        (array.array, "list[int]"),
        (bytearray, "bytes"),
        (memoryview, "bytes"),
        (deque, "list"),
        (defaultdict, "dict"),
        (OrderedDict, "dict"),
        (Foreign, "Struct"),
        (Any, "Struct"),
        (Iterator[int], "Struct"),
        (list[Foreign], "Struct"),
        (dict[str, bytearray], "bytes"),
        (tuple[int, Foreign], "Struct"),
        (set[_class_with(int)], "frozen"),  # type: ignore[misc]
        (dict[_class_with(int), int], "frozen"),  # type: ignore[misc]
    ],
    ids=str,
)
def test_a_type_that_cannot_be_watched_is_refused_by_the_fields_name(
    book: Book, declared: Any, remedy: str
) -> None:
    for make in (book.ferry.dict, book.ferry.list, book.ferry.deque):
        with pytest.raises((Unwatchable, KindNotDerivable)) as refused:
            make("odd", _class_with(declared))

        assert "Odd.field" in str(refused.value)
        assert remedy in refused.value.remedy
    assert all(kind.name != "odd" for kind in book.ferry.domain.kinds)


def test_an_entity_of_such_a_type_is_refused_too(book: Book) -> None:
    with pytest.raises(KindNotDerivable, match=r"Odd\.field"):
        book.of(_class_with(array.array), "odds")


class MyList(list[int]):
    pass


class MyFill(Fill):
    pass


class Grid(msgspec.Struct):
    id: str
    row: list[int] = []
    named: dict[str, int] = {}
    fills: list[Fill] = []
    money: Decimal = Decimal(0)


@pytest.fixture(scope="module")
def all_grids(shared: Book) -> Any:
    return shared.of(Grid, "grids")


@pytest.fixture
def grids(all_grids: Any) -> Any:
    """A recorded dict with two entities that no test has seen."""
    all_grids.clear()
    return _filled(all_grids)


def _filled(grids: Any) -> Any:
    grids["g"] = Grid("g", [1], {"a": 1}, [fill()])
    grids["h"] = Grid("h", fills=[fill(2)])
    return grids


Refused = tuple[type[FerryError], str, Callable[[Any], Any]]
REFUSED: dict[str, Refused] = {
    "a key that is not the entity's": (
        KeyDiffers, "'x' would hold", lambda g: g.__setitem__("x", Grid("y"))),
    "a new value of the key": (
        KeyDiffers, "'g' would hold", lambda g: setattr(g["g"], "id", "other")),
    "an entity that has a place": (
        OwnedElsewhere, "part of 'grids'", lambda g: g["g"].fills.append(g["h"].fills[0])),
    "an entity with a part that has a place": (
        OwnedElsewhere, "part of 'grids'",
        lambda g: g.update({"z": Grid("z", fills=g["g"].fills)})),
    "one object at two places of one value": (
        OwnedElsewhere, "two places", lambda g: g.update(_sharing_entities())),
    "a list that holds itself": (
        OwnedElsewhere, "holds itself", lambda g: setattr(g["g"], "row", _holding_itself())),
    "a list of a class of its own": (
        Unwatchable, "Grid.row is a MyList", lambda g: setattr(g["g"], "row", MyList([1]))),
    "a dict with a default": (
        Unwatchable, "defaultdict", lambda g: setattr(g["g"], "named", defaultdict(int))),
    "an object of a subclass": (
        Unwatchable, "MyFill", lambda g: g["g"].fills.append(MyFill(Decimal(1), 1))),
    "an entity of a subclass": (
        FerryError, "Foreign", lambda g: g.__setitem__("f", Foreign())),
    "a value of another type": (
        EventInvalid, "Grid", lambda g: g["g"].row.append("a")),
    "money that is a float": (
        EventInvalid, "money", lambda g: setattr(g["g"], "money", 1.5)),
    "what no event can hold": (
        EventInvalid, "Grid", lambda g: g["g"].row.append(object())),
    "an attribute deleted": (
        EventInvalid, "missing", lambda g: delattr(g["g"], "row")),
    "too large a state": (
        EventTooLarge, "bytes", lambda g: g["g"].row.extend(range(500_000))),
    "a bad one among many": (
        EventInvalid, "money", lambda g: g.update({"x": Grid("x"), "y": Grid("y", money=1.5)})),  # type: ignore[arg-type]
    "a list that changes while it is sorted": (
        MutationNested, "that a change calls",
        lambda g: g["g"].row.sort(key=lambda n: g["g"].row.pop())),
    "another part changed while one is": (
        MutationNested, "that a change calls", lambda g: g["g"].row.sort(key=lambda n: g.pop("h"))),
    "an iterable that changes what it is for": (
        MutationNested, "that a change calls", lambda g: g["g"].row.extend(_popping(g["g"].row))),
    "pairs that change what they are for": (
        MutationNested, "that a change calls", lambda g: g.update(_dropping(g))),
    "an event recorded from a sort key": (
        MutationNested, "from inside another", lambda g: g["g"].row.sort(key=_recording(g))),
    "a hash that changes what it is looked up in": (
        MutationNested, "that a change calls", lambda g: g["g"].named.pop(_Meddling(g["g"].named))),
}  # fmt: skip


def _recording(grids: Any) -> Callable[[Any], int]:
    ferry = grids._place.collection.ferry
    stated = ferry.domain.kind("grid").snapshot(Grid("h"))

    def key(item: Any) -> int:
        ferry.record(stated)
        return 0

    return key


class _Meddling:
    def __init__(self, target: Any) -> None:
        self._target = target

    def __hash__(self) -> int:
        self._target.clear()
        return 1


def _sharing_entities() -> dict[str, Grid]:
    one = fill()
    return {"x": Grid("x", fills=[one]), "y": Grid("y", fills=[one])}


def _holding_itself() -> list[Any]:
    row: list[Any] = []
    row.append(row)
    return row


def _popping(row: list[int]) -> Iterator[int]:
    while row:
        yield row.pop()


def _dropping(grids: Any) -> Iterator[tuple[str, Any]]:
    for key in list(grids):
        yield key, grids.pop(key)


@pytest.mark.parametrize("name", REFUSED)
def test_a_change_is_refused_and_leaves_memory_as_it_was(
    shared: Book, grids: Any, name: str
) -> None:
    error, text, change = REFUSED[name]
    objects = [grids["g"], grids["g"].row, grids["g"].fills[0]]
    events = shared.events

    with pytest.raises(error) as refused:
        change(grids)

    assert text in str(refused.value)
    assert refused.value.remedy
    assert grids == {
        "g": Grid("g", [1], {"a": 1}, [fill()]),
        "h": Grid("h", fills=[fill(2)]),
    }
    assert all(map(lambda a, b: a is b, objects, [grids["g"], grids["g"].row, grids["g"].fills[0]]))
    assert shared.events == events
    grids["g"].row.append(2)
    assert shared.folded()["grid"]["g"].row == [1, 2]  # type: ignore[attr-defined]


def test_what_was_refused_is_not_owned_by_the_collection(shared: Book, grids: Any) -> None:
    new = Grid("other", [1])

    with pytest.raises(KeyDiffers):
        grids["x"] = new

    events = shared.events
    new.row.append(2)
    new.id = "x"
    assert shared.events == events
    assert type(new.row) is list


@pytest.mark.parametrize(
    "change",
    [
        lambda book, values: values.append("a"),
        lambda book, values: values.insert(0, 1.5),
        lambda book, values: values.extend([1, None]),
        lambda book, values: values.__setitem__(0, "a"),
    ],
)
@pytest.mark.parametrize("kind", ["list", "deque"])
def test_an_element_of_another_type_is_refused(book: Book, kind: str, change: Any) -> None:
    values = getattr(book.ferry, kind)("values", int)
    values.extend([1, 2])
    events = book.events

    with pytest.raises(EventInvalid):
        change(book, values)

    assert list(values) == [1, 2]
    assert book.events == events


def test_a_key_of_another_type_is_refused(book: Book) -> None:
    values = book.ferry.dict("values", int, key_type=int)
    values[1] = 1

    for key in ("1", 1.0, True, None):
        with pytest.raises(KeyDiffers):
            values[key] = 2

    assert values == {1: 1}


def test_a_closed_ferry_takes_no_change(book: Book) -> None:
    trades = book.of(StructTrade)
    trades["T-1"] = trade(StructTrade)
    held = trades["T-1"]
    book.close()

    for change in (held.fills.clear, lambda: setattr(held, "quantity", 9), trades.clear):
        with pytest.raises(FerryClosed):
            change()

    assert held == trade(StructTrade)
    assert len(trades) == 1


def test_a_name_is_given_once(book: Book) -> None:
    book.ferry.list("values", int)

    with pytest.raises((StoreRefused, DomainInvalid)):
        book.ferry.list("values", int)


def test_a_field_named_like_the_place_is_refused(book: Book) -> None:
    class Row(msgspec.Struct):
        place: int

    with pytest.raises(KindNotDerivable, match=r"Row\.place"):
        book.ferry.list("rows", Row)
