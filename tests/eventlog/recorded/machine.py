"""Collections driven beside plain ones: the same changes, the same content, the same in the log."""

import copy
import operator
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from eventlog.recorded.refusals import OwnedElsewhere
from tests.eventlog.recorded.making import Book, outcome, stated, values_logged
from tests.eventlog.recorded.operations import IN_PLACE

MAXLEN = 4
KEYS = ("a", "b", "c")
INDEX = st.integers(-5, 5)
NUMBER = st.integers(0, 3)


class Fill(msgspec.Struct):
    quantity: int
    legs: list[int] = []


class Trade(msgspec.Struct):
    id: str
    quantity: int = 0
    fills: list[Fill] = []
    tags: dict[str, list[int]] = {}
    flags: set[int] = set()
    last: Fill | None = None


class World:
    """One of everything, recorded or plain."""

    def __init__(self, trades: Any, fills: Any, numbers: Any, ring: Any, prices: Any) -> None:
        self.trades = trades
        self.fills = fills
        self.numbers = numbers
        self.ring = ring
        self.prices = prices

    @classmethod
    def plain(cls) -> "World":
        return cls({}, [], [], deque(maxlen=MAXLEN), {})

    @classmethod
    def recorded(cls, book: Book) -> "World":
        ferry = book.ferry
        return cls(
            book.of(Trade),
            ferry.list("fills", Fill),
            ferry.list("numbers", int),
            ferry.deque("ring", Fill, maxlen=MAXLEN),
            ferry.dict("prices", list[int]),
        )

    def clear(self) -> None:
        for each in self.all():
            each.clear()

    def all(self) -> tuple[Any, ...]:
        return self.trades, self.fills, self.numbers, self.ring, self.prices

    def __eq__(self, other: object) -> bool:
        return isinstance(other, World) and self.all() == other.all()

    def __hash__(self) -> int:
        return id(self)


LIST_CHANGES: dict[str, Callable[[Any, Any, int, int], Any]] = {
    "append": lambda x, new, i, j: x.append(new()),
    "append what is there": lambda x, new, i, j: x.append(x[i]),
    "insert": lambda x, new, i, j: x.insert(i, new()),
    "pop": lambda x, new, i, j: x.pop(i) is None,
    "set": lambda x, new, i, j: x.__setitem__(i, new()),
    "delete": lambda x, new, i, j: operator.delitem(x, i),
    "delete a slice": lambda x, new, i, j: operator.delitem(x, slice(i, j)),
    "delete every second": lambda x, new, i, j: operator.delitem(x, slice(i, None, 2)),
    "set a slice": lambda x, new, i, j: x.__setitem__(slice(i, j), [new(), new()]),
    "extend": lambda x, new, i, j: x.extend([new(), new()]),
    "extend by itself": lambda x, new, i, j: x.extend(x[i:j]),
    "multiply": lambda x, new, i, j: IN_PLACE.imul(x, max(-1, min(i, 2))),
    "sort": lambda x, new, i, j: x.sort(key=repr),
    "reverse": lambda x, new, i, j: x.reverse(),
    "swap": lambda x, new, i, j: x.__setitem__(slice(0, 2), x[:2][::-1]),
    "clear": lambda x, new, i, j: x.clear(),
}
DEQUE_CHANGES: dict[str, Callable[[Any, Any, int, int], Any]] = {
    **{name: LIST_CHANGES[name] for name in (
        "append", "append what is there", "insert", "set", "delete", "extend", "multiply",
        "reverse", "clear")},
    "appendleft": lambda x, new, i, j: x.appendleft(new()),
    "extendleft": lambda x, new, i, j: x.extendleft([new(), new()]),
    "pop": lambda x, new, i, j: x.pop() is None,
    "popleft": lambda x, new, i, j: x.popleft() is None,
    "rotate": lambda x, new, i, j: x.rotate(i),
}  # fmt: skip
DICT_CHANGES: dict[str, Callable[[Any, Any, str], Any]] = {
    "set": lambda x, new, key: x.__setitem__(key, new(key)),
    "delete": lambda x, new, key: operator.delitem(x, key),
    "pop": lambda x, new, key: x.pop(key, 1) == 1,
    "popitem": lambda x, new, key: x.popitem()[0],
    "setdefault": lambda x, new, key: x.setdefault(key, new(key)) is None,
    "update": lambda x, new, key: x.update({key: new(key), "c": new("c")}),
    "or": lambda x, new, key: IN_PLACE.ior(x, {key: new(key)}),
    "clear": lambda x, new, key: x.clear(),
}
Pick = Callable[[World], Any]


def fills_of(key: str) -> Pick:
    return lambda world: world.trades[key].fills


FILL_LISTS: dict[str, Pick] = {"fills": lambda w: w.fills} | {
    f"fills of {key}": fills_of(key) for key in KEYS
}
NUMBER_LISTS: dict[str, Pick] = {
    "numbers": lambda w: w.numbers,
    "tags": lambda w: w.trades["a"].tags["a"],
    "legs": lambda w: w.fills[0].legs,
    "legs in the ring": lambda w: w.ring[-1].legs,
    "legs of the last": lambda w: w.trades["b"].last.legs,
    "prices": lambda w: w.prices["a"],
}


class Machine(RuleBasedStateMachine):
    """Does the same to both worlds; `book` and `worlds` are set by who runs it."""

    book: Book
    recorded: World

    held: Bundle[Any] = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.recorded.clear()
        self.model = World.plain()
        self.copies: list[tuple[Any, Any]] = []

    def both(self, change: Callable[[World], Any]) -> None:
        """Do a change to both, or to none where the recorded world refuses it."""
        before = copy.deepcopy(self.recorded.all())
        try:
            found = outcome(change, self.recorded)
        except OwnedElsewhere:
            assert self.recorded.all() == before
            return
        assert found == outcome(change, self.model)

    @rule(name=st.sampled_from(sorted(FILL_LISTS)), change=st.sampled_from(sorted(LIST_CHANGES)),
          i=INDEX, j=INDEX, n=NUMBER)  # fmt: skip
    def change_fills(self, name: str, change: str, i: int, j: int, n: int) -> None:
        self.both(lambda w: LIST_CHANGES[change](FILL_LISTS[name](w), lambda: Fill(n, [n]), i, j))

    @rule(name=st.sampled_from(sorted(NUMBER_LISTS)), change=st.sampled_from(sorted(LIST_CHANGES)),
          i=INDEX, j=INDEX, n=NUMBER)  # fmt: skip
    def change_numbers(self, name: str, change: str, i: int, j: int, n: int) -> None:
        self.both(lambda w: LIST_CHANGES[change](NUMBER_LISTS[name](w), lambda: n, i, j))

    @rule(change=st.sampled_from(sorted(DEQUE_CHANGES)), i=INDEX, j=INDEX, n=NUMBER)
    def change_ring(self, change: str, i: int, j: int, n: int) -> None:
        self.both(lambda w: DEQUE_CHANGES[change](w.ring, lambda: Fill(n, [n]), i, j))

    @rule(change=st.sampled_from(sorted(DICT_CHANGES)), key=st.sampled_from(KEYS), n=NUMBER)
    def change_trades(self, change: str, key: str, n: int) -> None:
        def new(name: str) -> Trade:
            return Trade(name, n, [Fill(n)], {"a": [n]}, {n}, Fill(n, [n]))

        self.both(lambda w: DICT_CHANGES[change](w.trades, new, key))

    @rule(change=st.sampled_from(sorted(DICT_CHANGES)), key=st.sampled_from(KEYS), n=NUMBER)
    def change_prices(self, change: str, key: str, n: int) -> None:
        self.both(lambda w: DICT_CHANGES[change](w.prices, lambda _: [n], key))

    @rule(change=st.sampled_from(sorted(DICT_CHANGES)), key=st.sampled_from(KEYS), n=NUMBER)
    def change_tags(self, change: str, key: str, n: int) -> None:
        self.both(lambda w: DICT_CHANGES[change](w.trades["a"].tags, lambda _: [n], key))

    @rule(key=st.sampled_from(KEYS), n=NUMBER, add=st.booleans())
    def change_flags(self, key: str, n: int, add: bool) -> None:
        self.both(lambda w: (w.trades[key].flags.add if add else w.trades[key].flags.remove)(n))

    @rule(key=st.sampled_from(KEYS), n=NUMBER)
    def write_attributes(self, key: str, n: int) -> None:
        self.both(lambda w: setattr(w.trades[key], "quantity", n))
        self.both(lambda w: setattr(w.trades[key], "last", Fill(n, [n]) if n else None))

    @rule(target=held, name=st.sampled_from(sorted(FILL_LISTS)), i=INDEX)
    def hold(self, name: str, i: int) -> Any:
        try:
            return FILL_LISTS[name](self.recorded)[i], FILL_LISTS[name](self.model)[i]
        except (KeyError, IndexError):
            return multiple()

    @rule(pair=held, n=NUMBER)
    def change_what_is_held(self, pair: tuple[Fill, Fill], n: int) -> None:
        for one in pair:
            one.quantity = n
            one.legs.append(n)

    @rule(pair=held, name=st.sampled_from(sorted(FILL_LISTS)))
    def put_what_is_held(self, pair: tuple[Fill, Fill], name: str) -> None:
        self.both(lambda w: FILL_LISTS[name](w).append(pair[0] if w is self.recorded else pair[1]))

    @rule(kind=st.sampled_from(["trade", "fills", "ring"]))
    def take_a_copy(self, kind: str) -> None:
        if len(self.copies) < 3:
            ferry = self.book.ferry
            with ferry.memory_lock:
                taken = ferry.stores()[kind].copy()
            self.copies.append((taken, list(taken())))

    @invariant()
    def memory_is_the_models(self) -> None:
        assert self.recorded == self.model

    def teardown(self) -> None:
        for taken, seen in self.copies:
            assert list(taken()) == seen
        self.copies.clear()
        require_logged(self.book, self.recorded)


def require_logged(book: Book, world: World) -> None:
    """Demand that the durable events give what is in memory."""
    log = book.folded()
    assert log["trade"] == stated(book, "trade", world.trades)
    assert values_logged(book, "numbers") == world.numbers
    assert {row.key: row.value for row in _rows(log, "prices")} == world.prices
    for name, items in (("fills", world.fills), ("ring", world.ring)):
        rows = [(row.quantity, row.legs) for row in _rows(log, name)][-len(items) :]
        assert rows == [(item.quantity, item.legs) for item in items] or not items


def _rows(log: dict[str, Any], name: str) -> list[Any]:
    return [log[name][key] for key in sorted(log[name])]


def machine_on(book: Book) -> tuple[type[Machine], World]:
    """Return a machine that drives collections of this book, and these."""
    world = World.recorded(book)
    return type("OneMachine", (Machine,), {"book": book, "recorded": world}), world
