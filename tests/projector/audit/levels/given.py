"""Records as the readers give them, made from events and entities alone."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from projector.audit.levels.business import BusinessLevel
from projector.audit.levels.cross_reference import CrossReferenceLevel
from projector.audit.levels.level import Breach, Level, LevelName, LevelResult
from projector.audit.levels.semantic import SemanticLevel
from projector.audit.records.record import Record
from schemas.domain import Domain, Kind
from schemas.tables import key_text

ALL: tuple[LevelName, ...] = ("semantic", "business", "cross_reference")


def levels(domain: Domain, names: Sequence[LevelName] = ALL) -> list[Level]:
    of_name: dict[str, Callable[[Domain], Level]] = {
        "semantic": SemanticLevel, "business": BusinessLevel, "cross_reference": CrossReferenceLevel
    }  # fmt: skip
    return [of_name[name](domain) for name in names]


def as_logged(domain: Domain, events: Iterable[Any]) -> Iterator[Record]:
    """Give events as steps, then every entity; a refused event changes nothing."""
    present: dict[tuple[str, str], Any] = {}
    for number, event in enumerate(events):
        kind = domain.kind_of[type(event)]
        key = _key(kind, event)
        before = present.get((kind.name, key))
        try:
            entity = kind.evolve(before, event)
        except Exception:
            entity = before
        yield Record(f"partition 0, offset {number}", kind, key, entity, event, before)
        if entity is None:
            present.pop((kind.name, key), None)
        else:
            present[kind.name, key] = entity
    yield from as_held(domain, present.values())


def as_held(domain: Domain, entities: Iterable[Any]) -> Iterator[Record]:
    """Give entities as they are, kind by kind in the domain's order."""
    of_type = {kind.entity: kind for kind in domain.kinds}
    order = [kind.name for kind in domain.kinds]
    held = sorted(entities, key=lambda entity: order.index(of_type[type(entity)].name))
    for entity in held:
        kind = of_type[type(entity)]
        yield Record(f"table {kind.tables[0].name}", kind, _key(kind, entity), entity)


def results(domain: Domain, records: Iterable[Record], *names: LevelName) -> dict[str, LevelResult]:
    """Show all records to the levels named, or to all three."""
    looking = levels(domain, names or ALL)
    for record in records:
        for level in looking:
            level.add(record)
    return {level.name: level.finish() for level in looking}


def breaches(domain: Domain, records: Iterable[Record], *names: LevelName) -> dict[str, Breach]:
    """Return what the levels named find, by rule."""
    found = results(domain, records, *names).values()
    return {breach.rule: breach for result in found for breach in result.breaches}


def _key(kind: Kind, value: Any) -> str:
    key = kind.key_getter()(value)
    return key_text(key if isinstance(key, tuple) else (key,))
