"""A change deep within an element, seen from its top: the element as it would be, as a copy."""

from typing import Any

from eventlog.recorded.places import Place
from eventlog.recorded.shapes import Shape, shape_of


def candidate_of(place: Place, changed: Any) -> tuple[Place, Any]:
    """Return the place of the collection's element that holds a place, and that element's copy with
    `changed` there. Only what is on the way is copied."""
    holder = place.parent
    while holder is not None and holder.parent is not None:
        changed = _swapped(holder.value, place.value, changed)
        place, holder = holder, holder.parent
    return place, changed


def _swapped(holder: Any, old: Any, new: Any) -> Any:
    if isinstance(holder, list):
        return [swapped(item, old, new) for item in holder]
    if isinstance(holder, dict):
        return {key: swapped(item, old, new) for key, item in holder.items()}
    shape = shape_of(type(holder))
    assert isinstance(shape, Shape)  # noqa: S101  (what has a place is of a known class)
    made = shape.copy(holder)
    for name in shape.nested:
        present = getattr(holder, name, None)
        changed = swapped(present, old, new)
        if changed is not present:
            shape.set_field(made, name, changed)
    return made


def swapped(item: Any, old: Any, new: Any) -> Any:
    """Return an item with a value within it, or itself, exchanged; the very item where none is."""
    if item is old:
        return new
    if isinstance(item, tuple):
        items = [swapped(one, old, new) for one in item]
        if any(one is not other for one, other in zip(items, item, strict=True)):
            cls: Any = type(item)
            return cls._make(items) if hasattr(cls, "_make") else cls(items)
    return item
