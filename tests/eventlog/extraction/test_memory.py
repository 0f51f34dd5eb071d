"""The estimate of memory."""

import sys

from eventlog.extraction.memory import bytes_of, estimate_bytes
from tests.eventlog.extraction.holding import account


def test_everything_that_an_entity_holds_is_counted_once() -> None:
    text = "x" * 1_000
    shared = [text, text]

    assert bytes_of(shared) == sys.getsizeof(shared) + sys.getsizeof(text)


def test_slots_attributes_and_fields_are_followed() -> None:
    class Slotted:
        __slots__ = ("kept",)

    class Plain:
        pass

    slotted, plain = Slotted(), Plain()
    slotted.kept = plain.kept = "y" * 5_000  # type: ignore[attr-defined]

    assert bytes_of(slotted) > 5_000
    assert bytes_of(plain) > 5_000
    assert bytes_of(account("a", owner="z" * 5_000)) > 5_000


def test_a_cycle_ends() -> None:
    cycle: list[object] = []
    cycle.append(cycle)

    assert bytes_of(cycle) == sys.getsizeof(cycle)


def test_many_entities_are_estimated_from_a_few() -> None:
    entities = [account(str(number), owner="o" * (1_000 + number % 2)) for number in range(5_000)]

    found = estimate_bytes(iter(entities), len(entities))

    assert 5_000 * 1_000 < found < 5_000 * 3_000
    assert estimate_bytes(iter([]), 0) == 0
