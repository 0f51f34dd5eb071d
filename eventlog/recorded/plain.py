"""Values as plain, unwatched copies that share nothing that can change."""

from typing import Any

from eventlog.recorded.shapes import shape_of


def plain(value: Any) -> Any:
    """Return a copy of a value; what cannot change is not copied."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, set):
        return set(value)
    cls: Any = type(value)
    if isinstance(value, tuple):
        items = [plain(item) for item in value]
        return cls._make(items) if hasattr(cls, "_make") else cls(items)
    shape = shape_of(cls)
    if shape is None or not shape.watched:
        return value
    made = shape.copy(value)
    for name in shape.nested:
        if hasattr(value, name):
            shape.set_field(made, name, plain(getattr(value, name)))
    return made
