"""Kinds that no code here knows: read from the control topic, where their apps declared them."""

import asyncio
import time

from projector.lanes import open_record
from projector.log import BrokerUnreachable, Log
from schemas.control import CONTROL_TYPE_OF, KindDeclared, decode_control
from schemas.derived.description import KindDescription
from schemas.derived.kind import kind_of
from schemas.domain import Domain, load_domain
from schemas.errors import FerryError
from schemas.position import control_topic
from schemas.settings import Settings

_FETCH = 1_000
_DECLARED = CONTROL_TYPE_OF[KindDeclared]


class KindContradicted(FerryError):
    """Two sources, or two versions of one app, say different things of one kind."""


async def whole_domain(settings: Settings, hand_written: Domain) -> Domain:
    """Return the hand-written kinds and those that apps declared; a hand-written one goes first.

    Raises: KindContradicted, BrokerUnreachable, TopicMissing.
    """
    declared: dict[str, KindDescription] = {}
    async with Log(settings, control_topic(settings.topic)) as log:
        offset, end = (await log.bounds())[0]
        await log.start_at({0: offset})
        heard = time.monotonic()
        while offset < end:
            for record in (await log.fetch(_FETCH, 500)).get(0, ()):
                offset, heard = record.offset + 1, time.monotonic()
                _, event, _ = open_record(record)
                if event.type != _DECLARED:
                    continue
                control = decode_control(event.type, event.data)
                assert isinstance(control, KindDeclared)  # noqa: S101  (its type says so)
                _note(declared, control.kind, event.source)
            if time.monotonic() - heard > settings.kafka.timeout_ms / 1000:
                raise BrokerUnreachable(
                    f"the control topic gave no record for {settings.kafka.timeout_ms} ms",
                    where=f"topic {log.topic}, offset {offset} of {end}",
                    remedy="look at Kafka; nothing was changed",
                )
    return hand_written.with_kinds(kind_of(description) for description in declared.values())


def learned_domain(settings: Settings) -> Domain:
    """Return every kind that the settings and the log name; blocks, and needs no running loop."""
    return asyncio.run(whole_domain(settings, load_domain(settings.domain)))


def _note(declared: dict[str, KindDescription], kind: KindDescription, source: str) -> None:
    others = (other.name for other in declared.values() if other.table == kind.table)
    if any(name != kind.name for name in others):
        raise KindContradicted(
            f"source {source!r} declares kind {kind.name!r} with another kind's table "
            f"{kind.table!r}",
            where="the control topic",
            remedy="give one of them a table of its own, in a new topic (`topic`)",
        )
    known = declared.setdefault(kind.name, kind)
    if known != kind:
        raise KindContradicted(
            f"source {source!r} declares kind {kind.name!r} with other columns than before",
            where="the control topic",
            remedy="give the changed entity type a kind of its own, or write the kind by hand "
            "(docs/domain.md)",
        )
