"""The running apps' memory as records: every entity that they hold, as its state-carrying event."""

from contextlib import closing
from typing import Any

import msgspec

from projector.audit.records.record import Add, Record, key_writer
from projector.control_tables import connect
from projector.extraction import Line, extracted
from projector.sources import asking
from schemas.domain import Domain
from schemas.extraction import Selection
from schemas.requests import CatalogAnswer
from schemas.settings import Settings


def read_memory(settings: Settings, domain: Domain, add: Add, timeout_s: float = 60.0) -> str:
    """Give every entity of every running app; return whose they are.

    Containers that nobody registered, and kinds without one, are given as errors.
    Raises: SourceSilent, naming the source.
    """
    name = settings.projection or domain.name
    keys = {kind.name: key_writer(kind) for kind in domain.kinds}
    with extracted(settings, name, Selection(), timeout_s) as found:
        for line in found.lines:
            add(_entity(domain, keys, line))
        sources = [answer.source for answer in found.answers]
    with (
        closing(connect(settings, "validation")) as conn,
        asking(conn, name, sources, "catalog") as asked,
    ):
        for answer in asked.answers(timeout_s).values():
            _forgotten(msgspec.convert(answer, CatalogAnswer), add)
    return ", ".join(sources)


def _entity(domain: Domain, keys: dict[str, Any], line: Line) -> Record:
    kind_name, event_type, data = line
    reader = domain.readers.get(event_type)
    place = f"memory, {kind_name}"
    if reader is None:
        said = f"no kind of the domain has events of type {event_type}"
        return Record(place, None, "", raw=data, error=said, fault="unknown_type")
    try:
        event = reader.read(msgspec.Raw(data))
        entity = reader.kind.evolve(None, event)
        return Record(place, reader.kind, keys[reader.kind.name](event), entity, raw=data)
    except Exception as error:  # whatever the domain's code raises
        said = getattr(error, "what", None) or str(error)
        return Record(place, reader.kind, "", raw=data, error=said, fault="unreadable")


def _forgotten(catalog: CatalogAnswer, add: Add) -> None:
    for container in catalog.walked.unmapped:
        said = f"{container.description} is in no store and not excluded: nothing of it is recorded"
        place = f"memory of {catalog.source}, {container.path}"
        add(Record(place, None, container.path, error=said, fault="forgotten"))
    for kind in catalog.unregistered:
        said = f"no container is registered for kind {kind}: nothing of it is recorded"
        add(Record(f"memory of {catalog.source}", None, kind, error=said, fault="forgotten"))
