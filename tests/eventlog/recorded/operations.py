"""What one can do to a list, dict, deque or set: each operation by a name."""

import operator
from collections.abc import Callable
from typing import Any

Operations = dict[str, Callable[[Any], Any]]
IN_PLACE: Any = operator
"""The module, of which the stubs do not type what changes in place."""


def _fails(values: list[int]) -> Any:
    yield from values
    raise ZeroDivisionError


def _delete_while_iterating(target: Any) -> None:
    for key in target:
        del target[key]


def _delete_over_a_copy(target: Any) -> None:
    for key in list(target):
        if key != "b":
            del target[key]


LIST: Operations = {
    "append": lambda x: x.append(7),
    "extend": lambda x: x.extend([7, 8]),
    "extend by itself": lambda x: x.extend(x),
    "extend by an iterator": lambda x: x.extend(iter(range(3))),
    "extend by nothing": lambda x: x.extend([]),
    "extend by no iterable": lambda x: x.extend(7),
    "insert": lambda x: x.insert(1, 7),
    "insert before the beginning": lambda x: x.insert(-99, 7),
    "insert behind the end": lambda x: x.insert(99, 7),
    "insert at no place": lambda x: x.insert("a", 7),
    "pop": lambda x: x.pop(),
    "pop first": lambda x: x.pop(0),
    "pop from the end": lambda x: x.pop(-2),
    "pop too far": lambda x: x.pop(99),
    "remove": lambda x: x.remove(3),
    "remove what is not there": lambda x: x.remove(99),
    "clear": lambda x: x.clear(),
    "sort": lambda x: x.sort(),
    "sort by key": lambda x: x.sort(key=lambda item: -item),
    "sort in reverse": lambda x: x.sort(reverse=True),
    "sort by what cannot be compared": lambda x: x.sort(key=lambda item: object()),
    "reverse": lambda x: x.reverse(),
    "set": lambda x: x.__setitem__(0, 7),
    "set from the end": lambda x: x.__setitem__(-1, 7),
    "set too far": lambda x: x.__setitem__(99, 7),
    "set the same": lambda x: x.__setitem__(0, x[0]),
    "set a slice": lambda x: x.__setitem__(slice(1, 2), [7, 8, 9]),
    "set a slice to nothing": lambda x: x.__setitem__(slice(1, None), []),
    "set a slice by an iterator": lambda x: x.__setitem__(slice(0, 2), iter([7])),
    "set a slice to itself": lambda x: x.__setitem__(slice(1, 2), x),
    "set a slice turned round": lambda x: x.__setitem__(slice(2, 0), [7]),
    "set every second": lambda x: x.__setitem__(slice(None, None, 2), [7, 8]),
    "set every second, too few": lambda x: x.__setitem__(slice(None, None, 2), [7]),
    "set a slice to no iterable": lambda x: x.__setitem__(slice(0, 1), 7),
    "delete": lambda x: operator.delitem(x, 1),
    "delete too far": lambda x: operator.delitem(x, 99),
    "delete a slice": lambda x: operator.delitem(x, slice(0, 2)),
    "delete every second": lambda x: operator.delitem(x, slice(None, None, 2)),
    "add in place": lambda x: IN_PLACE.iadd(x, [7, 8]),
    "add no iterable in place": lambda x: IN_PLACE.iadd(x, 7),
    "multiply in place": lambda x: IN_PLACE.imul(x, 2),
    "multiply in place by nothing": lambda x: IN_PLACE.imul(x, 0),
    "multiply in place by one": lambda x: IN_PLACE.imul(x, 1),
    "multiply in place by a text": lambda x: IN_PLACE.imul(x, "a"),
    "pop until there is nothing": lambda x: [x.pop() for _ in range(4)],
    "swap": lambda x: x.__setitem__(slice(0, 2), [x[1], x[0]]),
    "copy": lambda x: x.copy(),
    "add": lambda x: x + [7],  # noqa: RUF005
    "slice": lambda x: x[1:],
}
DICT: Operations = {
    "set": lambda x: x.__setitem__("a", 7),
    "set new": lambda x: x.__setitem__("z", 7),
    "set the same": lambda x: x.__setitem__("a", x["a"]),
    "set under no key": lambda x: x.__setitem__([], 7),
    "delete": lambda x: operator.delitem(x, "a"),
    "delete what is not there": lambda x: operator.delitem(x, "z"),
    "delete while iterating": _delete_while_iterating,
    "delete over a copy": _delete_over_a_copy,
    "pop": lambda x: x.pop("b"),
    "pop what is not there": lambda x: x.pop("z"),
    "pop with a default": lambda x: x.pop("z", 7),
    "pop with None for a default": lambda x: x.pop("z", None),
    "pop an item": lambda x: x.popitem(),
    "pop items until there is nothing": lambda x: [x.popitem() for _ in range(4)],
    "clear": lambda x: x.clear(),
    "setdefault": lambda x: x.setdefault("a", 7),
    "setdefault new": lambda x: x.setdefault("z", 7),
    "update": lambda x: x.update({"a": 7, "z": 8}),
    "update by pairs": lambda x: x.update([("a", 7), ("z", 8), ("z", 9)]),
    "update by name": lambda x: x.update(a=7, z=8),
    "update by both": lambda x: x.update({"a": 7}, z=8),
    "update by an iterator": lambda x: x.update(iter([("z", 7)])),
    "update by itself": lambda x: x.update(x),
    "update by nothing": lambda x: x.update(),
    "update by no mapping": lambda x: x.update(7),
    "update by two": lambda x: x.update({}, {}),
    "or in place": lambda x: IN_PLACE.ior(x, {"a": 7, "z": 8}),
    "or pairs in place": lambda x: IN_PLACE.ior(x, [("z", 7)]),
    "or no mapping in place": lambda x: IN_PLACE.ior(x, 7),
    "copy": lambda x: x.copy(),
    "or": lambda x: x | {"z": 7},
    "or from the right": lambda x: {"z": 7} | x,
}
DEQUE: Operations = {
    "append": lambda x: x.append(7),
    "appendleft": lambda x: x.appendleft(7),
    "append many": lambda x: [x.append(n) for n in range(4)],
    "appendleft many": lambda x: [x.appendleft(n) for n in range(4)],
    "append, then at the left": lambda x: (x.append(7), x.append(8), x.appendleft(9)),
    "append, pop, append": lambda x: (x.append(7), x.append(8), x.pop(), x.append(9)),
    "append, popleft, appendleft": lambda x: (x.append(7), x.popleft(), x.appendleft(9)),
    "extend": lambda x: x.extend([7, 8]),
    "extend beyond": lambda x: x.extend(range(9)),
    "extend by itself": lambda x: x.extend(x),
    "extend by nothing": lambda x: x.extend([]),
    "extendleft": lambda x: x.extendleft([7, 8]),
    "extendleft beyond": lambda x: x.extendleft(range(9)),
    "extend by no iterable": lambda x: x.extend(7),
    "insert": lambda x: x.insert(1, 7),
    "pop": lambda x: x.pop(),
    "popleft": lambda x: x.popleft(),
    "pop until there is nothing": lambda x: [x.pop() for _ in range(9)],
    "popleft until there is nothing": lambda x: [x.popleft() for _ in range(9)],
    "remove": lambda x: x.remove(3),
    "remove what is not there": lambda x: x.remove(99),
    "rotate": lambda x: x.rotate(),
    "rotate back": lambda x: x.rotate(-2),
    "rotate round": lambda x: x.rotate(len(x)),
    "reverse": lambda x: x.reverse(),
    "clear": lambda x: x.clear(),
    "set": lambda x: x.__setitem__(1, 7),
    "set too far": lambda x: x.__setitem__(99, 7),
    "set while iterating": lambda x: [x.__setitem__(n, 7) for n, _ in enumerate(x)],
    "delete": lambda x: operator.delitem(x, 1),
    "delete too far": lambda x: operator.delitem(x, 99),
    "add in place": lambda x: IN_PLACE.iadd(x, [7, 8]),
    "multiply in place": lambda x: IN_PLACE.imul(x, 2),
    "multiply in place by nothing": lambda x: IN_PLACE.imul(x, 0),
    "copy": lambda x: x.copy(),
    "add": lambda x: x + x,
    "multiply": lambda x: x * 2,
    "length": lambda x: x.maxlen,
}
SET: Operations = {
    "add": lambda x: x.add(7),
    "add what is there": lambda x: x.add(3),
    "add what cannot be hashed": lambda x: x.add([]),
    "discard": lambda x: x.discard(3),
    "discard what is not there": lambda x: x.discard(99),
    "remove": lambda x: x.remove(3),
    "remove what is not there": lambda x: x.remove(99),
    "clear": lambda x: x.clear(),
    "update": lambda x: x.update([7, 8], {9}),
    "update by no iterable": lambda x: x.update(7),
    "difference_update": lambda x: x.difference_update([3, 99]),
    "intersection_update": lambda x: x.intersection_update([3, 99]),
    "symmetric_difference_update": lambda x: x.symmetric_difference_update([3, 99]),
    "or in place": lambda x: IN_PLACE.ior(x, {3, 7}),
    "and in place": lambda x: IN_PLACE.iand(x, {3, 7}),
    "subtract in place": lambda x: IN_PLACE.isub(x, {3, 7}),
    "xor in place": lambda x: IN_PLACE.ixor(x, {3, 7}),
    "or a list in place": lambda x: IN_PLACE.ior(x, [7]),
    "pop all": lambda x: sorted([x.pop(), x.pop(), x.pop()]),
    "copy": lambda x: x.copy(),
}
