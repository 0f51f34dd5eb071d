"""The entities of the running apps, as state-carrying events, streamed through PostgreSQL."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import msgspec

from projector.control_tables import connect
from projector.control_topic import read_control
from projector.sources import active_sources, asking
from projector.sql import query
from schemas.extraction import Selection
from schemas.requests import ExtractionAnswer
from schemas.settings import Settings

Line: TypeAlias = tuple[str, str, bytes]
"""Kind, event type, the event as JSON."""


class Extracted(NamedTuple):
    """What the apps answered, and their entities, which can be iterated once."""

    answers: list[ExtractionAnswer]
    lines: Iterator[Line]


@contextmanager
def extracted(
    settings: Settings, projection: str, selection: Selection, timeout_s: float
) -> Iterator[Extracted]:
    """Have every running app copy the selected entities; blocks, and leaves nothing behind.

    `timeout_s` is the longest that an app may say nothing. Raises: SourceSilent.
    """
    with connect(settings, "extraction") as conn:
        asyncio.run(read_control(conn, settings))
        sources = active_sources(conn, settings.topic)
        with asking(conn, projection, sources, "extraction", selection) as asked:
            answers = asked.answers(timeout_s)

            def lines() -> Iterator[Line]:
                for request in asked.requests.values():
                    with conn.transaction(), conn.cursor(name="memory_lines") as cursor:
                        yield from cursor.execute(query("memory_lines"), (request,))

            found = [msgspec.convert(answer, ExtractionAnswer) for answer in answers.values()]
            yield Extracted(found, lines())
