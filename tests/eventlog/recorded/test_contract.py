"""Every collection, and every container within one, does what the plain one does, and logs it."""

import copy
import pickle
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.eventlog.recorded.making import Book, ordered, outcome, plain_of, values_logged
from tests.eventlog.recorded.operations import DEQUE, DICT, LIST, SET, Operations


class Holder(msgspec.Struct):
    id: str
    items: list[int] = []
    named: dict[str, int] = {}
    members: set[int] = set()


class Subject:
    """A recorded container, and what the log says that it holds."""

    def __init__(self, recorded: Any, logged: Callable[[], Any]) -> None:
        self.recorded = recorded
        self.logged = logged


Make = Callable[[Book], Subject]


def _list(book: Book) -> Subject:
    made = book.ferry.list("list", int)
    return Subject(made, lambda: values_logged(book, "list"))


def _dict(book: Book) -> Subject:
    made = book.ferry.dict("dict", int)
    return Subject(made, lambda: {row.key: row.value for row in _rows(book, "dict")})


def _rows(book: Book, name: str) -> list[Any]:
    return list(book.folded()[name].values())


def _deque(maxlen: int | None) -> Make:
    def make(book: Book) -> Subject:
        name = f"ring_{maxlen or 0}"
        made = book.ferry.deque(name, int, maxlen=maxlen)
        return Subject(made, lambda: values_logged(book, name)[-len(made) :] if made else [])

    return make


def _within(field: str) -> Make:
    def make(book: Book) -> Subject:
        holders = book.ferry.dict(f"holders_of_{field}", Holder)
        holders["h"] = Holder("h")
        return Subject(
            getattr(holders["h"], field),
            lambda: getattr(book.folded()[f"holders_of_{field}"]["h"], field),
        )

    return make


SUBJECTS: dict[str, tuple[Operations, Make]] = {
    "a list": (LIST, _list),
    "a list within": (LIST, _within("items")),
    "a dict": (DICT, _dict),
    "a dict within": (DICT, _within("named")),
    "a deque": (DEQUE, _deque(None)),
    "a full ring": (DEQUE, _deque(4)),
    "a ring with room": (DEQUE, _deque(6)),
    "a ring that was full": (DEQUE, _deque(3)),
    "a set within": (SET, _within("members")),
}
CASES = [
    pytest.param(subject, operation, id=f"{subject}: {name}")
    for subject, (operations, _) in SUBJECTS.items()
    for name, operation in operations.items()
]


@pytest.fixture(scope="module")
def subjects(shared: Book) -> dict[str, Subject]:
    return {name: make(shared) for name, (_, make) in SUBJECTS.items()}


def filled(subject: Subject) -> Any:
    """Return a subject's container with what every test begins with, whatever it held before."""
    recorded = subject.recorded
    recorded.clear()
    if isinstance(recorded, dict):
        recorded.update({"a": 3, "b": 1, "c": 2})
    elif isinstance(recorded, deque):
        recorded.extend([9, 3, 1, 2])
    else:
        recorded.update({3, 1, 2}) if isinstance(recorded, set) else recorded.extend([3, 1, 2])
    return recorded


@pytest.mark.parametrize(("name", "operation"), CASES)
def test_an_operation_does_what_it_does_to_the_plain_container(
    subjects: dict[str, Subject], name: str, operation: Callable[[Any], Any]
) -> None:
    recorded = filled(subjects[name])
    plain = plain_of(recorded)

    expected, found = outcome(operation, plain), outcome(operation, recorded)

    assert found == expected
    assert type(found[1]) is type(expected[1])
    assert ordered(recorded) == ordered(plain)
    logged = subjects[name].logged()
    assert (set(logged) if isinstance(plain, set) else logged) == (
        plain if isinstance(plain, dict | set) else list(plain)
    )


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))],  # noqa: S301
)
def test_a_copy_is_plain_and_unwatched(
    shared: Book, subjects: dict[str, Subject], name: str, duplicate: Callable[[Any], Any]
) -> None:
    recorded = filled(subjects[name])
    events = shared.events

    made = duplicate(recorded)
    made.clear()

    assert type(made) is type(plain_of(recorded))
    assert len(recorded) > 0
    assert shared.events == events


def test_a_copied_ring_keeps_its_length(book: Book) -> None:
    ring = book.ferry.deque("values", int, maxlen=3)

    made = copy.deepcopy(ring)

    assert made == deque(maxlen=3)
    assert made.maxlen == 3
