"""Twins of event types without their texts' patterns, which cost more than all else in decoding.

msgspec asks Python's `re` for each text that has a pattern. What a pattern demands was demanded
when the event was recorded, and the lane's chain proves that nobody changed it since.
"""

import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec.structs import astuple

_KEPT = ("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length", "tz")


set_class: Callable[[Any, type[Any]], None] = object.__dict__["__class__"].__set__
"""Makes an object one of another class of the same layout; frozen ones refuse to do it themselves.

It costs a fifth of building the event from its twin's fields.
"""


class Plain(NamedTuple):
    """A type that decodes what an event type decodes, and more texts; and the way back."""

    twin: type[Any]
    event_of: Callable[[Any], Any]
    """A decoded twin → the event of the original type."""
    same_layout: bool
    """Whether `set_class` makes a twin the event, too."""


def plain_type(event: type[Any]) -> Plain | None:
    """Return the twin of an event type; None where it has no patterns or is no plain Struct."""
    config = event.__struct_config__
    fields = msgspec.structs.fields(event)
    if (
        config.array_like
        or config.tag is not None
        or hasattr(event, "__post_init__")
        or any(field.name != field.encode_name for field in fields)
        or event.__match_args__ != event.__struct_fields__  # some are given by keyword only
    ):
        return None
    hints = typing.get_type_hints(event, include_extras=True)
    plain = {name: _without_pattern(hints[name]) for name in event.__struct_fields__}
    if all(plain[name] == hints[name] for name in plain):
        return None
    twin = msgspec.defstruct(
        event.__name__,
        [(field.name, plain[field.name], *_default(field)) for field in fields],
        frozen=True,
        gc=config.gc,
        weakref=config.weakref,
        dict=config.dict,
        forbid_unknown_fields=config.forbid_unknown_fields,
    )
    return Plain(twin, lambda decoded: event(*astuple(decoded)), _same_layout(twin, event))


def _same_layout(twin: type[Any], event: type[Any]) -> bool:
    """Try whether a twin that is made the event has each value in its field."""
    values = [object() for _ in twin.__struct_fields__]
    tried = twin(*values)
    try:
        set_class(tried, event)
    except TypeError:
        return False
    return type(tried) is event and all(
        getattr(tried, name) is value
        for name, value in zip(event.__struct_fields__, values, strict=True)
    )


def _default(field: Any) -> tuple[Any, ...]:
    if field.default_factory is not msgspec.NODEFAULT:
        return (msgspec.field(default_factory=field.default_factory),)
    return () if field.default is msgspec.NODEFAULT else (field.default,)


def _without_pattern(hint: Any) -> Any:
    """Return an annotation without its patterns; those of texts in containers stay."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.Union[tuple(map(_without_pattern, typing.get_args(hint)))]  # noqa: UP007
    if typing.get_origin(hint) is not Annotated:
        return hint
    kind, *metas = typing.get_args(hint)
    kept = []
    for meta in metas:
        if isinstance(meta, msgspec.Meta) and meta.pattern is not None:
            said = {name: getattr(meta, name) for name in _KEPT}
            said = {name: value for name, value in said.items() if value is not None}
            if said:
                kept.append(msgspec.Meta(**said))
        else:
            kept.append(meta)
    return Annotated[(kind, *kept)] if kept else kind
