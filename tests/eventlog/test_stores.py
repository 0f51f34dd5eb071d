"""The app's own containers under the shim's care."""

from collections import OrderedDict, defaultdict, deque
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.recorder import Recorder
from eventlog.stores import DictStore, Store, StoreRefused
from eventlog.window_store import WindowStore, store_for
from schemas.domain import Kind, TransitionRefused
from tests.domains.ledger import ACCOUNT, DOMAIN, READING, Account, Reading
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    WINDOW,
    App,
    account,
    closed,
    fold,
    opened,
    readings,
    rows_of,
    taken,
    types_of,
)


class Seat(msgspec.Struct, frozen=True):
    house: int
    row: int
    number: int
    guest: str = ""


SEAT = Kind(
    name="seat",
    entity=Seat,
    events={"hall.seat.taken.v1": Seat},
    key=("house", "row", "number"),
    stream=("house", "row"),
    evolve=lambda present, event: event,
    project=lambda event: (),
    rows=lambda entity: (),
    snapshot=lambda entity: entity,
    tables=(),
)
NUMBERED = replace(SEAT, name="house", key=("house",), stream=("house",))


def reading(meter: str, number: int, value: Any = 1) -> Reading:
    return Reading(meter, number, Decimal(value))


def content(store: Store) -> list[Any]:
    return list(store.copy()())


# --- one entity a stream


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_a_dict_is_the_apps_own_and_stays_it(kind: type[dict[str, Account]]) -> None:
    accounts = kind(a=account("a"))
    store = store_for(ACCOUNT, accounts)

    store.put("b", account("b"))
    store.put("a", None)

    assert isinstance(store, DictStore)
    assert accounts == {"b": account("b")}
    assert (store.get("b"), store.get("a")) == (account("b"), None)


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("kind", [ACCOUNT, NUMBERED], ids=["text", "numbers"])
def test_a_dict_knows_its_streams(kind: Kind, empty: bool) -> None:
    def entity(name: int) -> Any:
        return account(str(name)) if kind is ACCOUNT else Seat(name, 0, 0)

    key = kind.key_getter()
    store = store_for(kind, {} if empty else {key(entity(1)): entity(1)})

    for number in (1, 2, 3):
        store.put(key(entity(number)), entity(number))
    store.put(key(entity(2)), None)
    store.forget(f"{kind.name}/3")
    store.forget(f"{kind.name}/9")

    assert store.streams() == [f"{kind.name}/1"]
    assert store.of_stream(f"{kind.name}/1") == [entity(1)]
    assert store.of_stream(f"{kind.name}/2") == []
    assert content(store) == [entity(1)]


def test_a_copy_does_not_follow_what_happens_after_it() -> None:
    accounts = {"a": account("a")}
    rings = {"m": readings("m", 1)}
    stores = [store_for(ACCOUNT, accounts), store_for(READING, rings)]
    copies = [store.copy() for store in stores]

    accounts["a"] = account("a", 5)
    accounts["b"] = account("b")
    rings["m"].append(reading("m", 2))
    rings["n"] = readings("n", 1)

    assert [list(copy()) for copy in copies] == [[account("a")], [reading("m", 1)]]
    assert [list(copy()) for copy in copies] == [[account("a")], [reading("m", 1)]]


# --- the newest entities of a stream


def test_a_ring_evicts_its_oldest_by_itself() -> None:
    rings = {"m": readings("m", 1, 2, 3)}
    store = store_for(READING, rings)

    store.put(("m", 4), reading("m", 4))

    assert isinstance(store, WindowStore)
    assert rings["m"] == readings("m", 2, 3, 4)
    assert store.get(("m", 1)) is None
    assert store.get(("m", 2)) == reading("m", 2)


def test_an_eviction_is_no_event_and_takes_nothing_from_the_log(app: App) -> None:
    for number in range(1, 6):
        app.ferry.record(taken("m", number))

    app.close()

    rows = rows_of(app.path)
    assert types_of(rows) == ["ledger.reading.taken.v1"] * 5
    assert list(app.memory()["reading"]) == [("m", 3), ("m", 4), ("m", 5)]
    assert list(fold(rows)["reading"]) == [("m", number) for number in range(1, 6)]


def test_a_new_ring_is_as_long_as_the_others() -> None:
    rings = {"m": readings("m", 1)}
    store = store_for(READING, rings)

    store.put(("n", 1), reading("n", 1))

    assert rings["n"].maxlen == WINDOW


def test_a_defaultdict_makes_its_rings_itself() -> None:
    rings: dict[str, deque[Reading]] = defaultdict(lambda: deque(maxlen=7))
    store = store_for(READING, rings)

    store.put(("n", 1), reading("n", 1))

    assert rings["n"].maxlen == 7


def test_an_entity_in_a_ring_is_replaced_where_it_stands_and_can_end() -> None:
    rings = {"m": readings("m", 1, 2, 3)}
    store = store_for(READING, rings)

    store.put(("m", 2), reading("m", 2, 9))
    store.put(("m", 1), None)
    store.put(("m", 8), None)
    store.put(("x", 1), None)

    assert list(rings["m"]) == [reading("m", 2, 9), reading("m", 3)]
    assert list(rings) == ["m"]


def test_a_late_entity_stands_once_and_is_found(app: App) -> None:
    app.ferry.record(taken("m", 5))
    app.ferry.record(taken("m", 3))

    with pytest.raises(TransitionRefused):
        app.ferry.record(taken("m", 5))
    with pytest.raises(TransitionRefused):
        app.ferry.record(taken("m", 3))

    assert set(app.memory()["reading"]) == {("m", 3), ("m", 5)}


@given(st.lists(st.tuples(st.sampled_from("mn"), st.integers(0, 6), st.booleans()), max_size=40))
def test_a_window_is_what_its_rings_hold(steps: list[tuple[str, int, bool]]) -> None:
    rings: dict[str, deque[Reading]] = defaultdict(lambda: deque(maxlen=WINDOW))
    store = store_for(READING, rings)
    model: dict[str, dict[int, Reading]] = {"m": {}, "n": {}}

    for place, (meter, number, ends) in enumerate(steps):
        ring = model[meter]
        assert store.get((meter, number)) == ring.get(number)
        entity = None if ends else reading(meter, number, place)
        store.put((meter, number), entity)
        if entity is None:
            ring.pop(number, None)
        else:
            ring[number] = entity  # a dict keeps the place of what it replaces
            if len(ring) > WINDOW:
                del ring[next(iter(ring))]

    assert {meter: list(ring) for meter, ring in rings.items() if ring} == {
        meter: list(ring.values()) for meter, ring in model.items() if ring
    }
    assert sorted(store.streams()) == sorted(f"reading/{m}" for m, ring in model.items() if ring)


def test_a_window_knows_its_streams() -> None:
    store = store_for(READING, {"m": readings("m", 1, 2), "n": readings("n")})

    assert store.streams() == ["reading/m"]
    assert store.of_stream("reading/m") == [reading("m", 1), reading("m", 2)]
    assert store.of_stream("reading/n") == []
    assert store.of_stream("reading/x") == []


def test_a_window_forgets_a_stream_and_keeps_its_ring() -> None:
    ring = readings("m", 1, 2)
    rings = {"m": ring, "n": readings("n", 1)}
    store = store_for(READING, rings)

    store.forget("reading/m")
    store.forget("reading/x")
    store.put(("m", 3), reading("m", 3))

    assert rings["m"] is ring
    assert content(store) == [reading("m", 3), reading("n", 1)]


def test_a_ring_may_be_named_by_several_values() -> None:
    seats = [Seat(1, 2, 3), Seat(1, 2, 4)]
    rings: dict[Any, deque[Seat]] = {(1, 2): deque(seats, maxlen=4)}
    store = store_for(SEAT, rings)

    store.put((1, 3, 1), Seat(1, 3, 1))
    store.put((1, 2, 3), Seat(1, 2, 3, "ann"))

    assert store.get((1, 2, 3)) == Seat(1, 2, 3, "ann")
    assert store.streams() == ["seat/1/2", "seat/1/3"]
    assert store.of_stream("seat/1/2") == [Seat(1, 2, 3, "ann"), Seat(1, 2, 4)]
    assert rings[1, 3].maxlen == 4


# --- what cannot be registered


@pytest.mark.parametrize(
    ("kind", "given", "said"),
    [
        (ACCOUNT, [account("a")], "a list cannot be registered"),
        (ACCOUNT, None, "a NoneType cannot be registered"),
        (ACCOUNT, {"a": "ann"}, "holds Account, found str: 'ann'"),
        (ACCOUNT, {"a": None}, "holds Account, found NoneType"),
        (ACCOUNT, {"m": readings("m", 1)}, "holds Account, found deque"),
        (ACCOUNT, {"b": account("a")}, "'b' holds the entity of 'a'"),
        (READING, {("m", 1): reading("m", 1)}, "Reading is not a deque"),
        (READING, {"m": [reading("m", 1)]}, "list is not a deque"),
        (READING, {"m": deque([account("a")])}, "holds Reading, found Account"),
        (READING, {"m": deque(maxlen=3), "n": deque(maxlen=4)}, "different lengths"),
        (READING, {"m": deque(maxlen=3), "n": deque()}, "different lengths"),
        (READING, {"n": readings("m", 1)}, "'n' holds the entity of 'm'"),
        (SEAT, {1: deque([Seat(1, 2, 3)])}, r"1 holds the entity of \(1, 2\)"),
    ],
)
def test_a_container_that_is_not_the_kinds_is_refused(kind: Kind, given: Any, said: str) -> None:
    with pytest.raises(StoreRefused, match=said) as caught:
        store_for(kind, given)

    assert f"kind '{kind.name}'" in str(caught.value).replace('"', "'")
    assert caught.value.remedy


def test_a_refused_container_leaves_its_kind_to_another(tmp_path: Path) -> None:
    ferry = Recorder(SqliteOutbox(tmp_path / "outbox.db", IDENTITY), DOMAIN, 1_000, 10)
    with pytest.raises(StoreRefused):
        ferry.add_store("account", {"a": "ann"})

    ferry.add_store("account", {"a": account("a")})

    assert set(ferry.stores()) == {"account"}
    ferry.close()


def test_a_long_foreign_value_is_not_shown_whole() -> None:
    with pytest.raises(StoreRefused) as caught:
        store_for(ACCOUNT, {"a": "x" * 10_000})

    assert len(str(caught.value)) < 400


def test_an_ended_entity_leaves_no_stream(app: App) -> None:
    app.ferry.record(opened("a"))
    app.ferry.record(closed("a")).durable(DEADLINE_S)

    assert app.ferry.stores()["account"].streams() == []
