"""Voids that were decided after a backup: obeyed where it can, refused where it cannot."""

from collections.abc import Callable

import psycopg
import pytest

from projector.backup.restoring import RestoreRefused, restore
from projector.backup.taking import take
from projector.replay.beside import beside_of
from projector.replay.replaying import replay
from projector.replay.target import Target
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.broker import Broker
from tests.projector.projecting import project
from tests.projector.voided import Written, opened


async def test_a_backup_that_holds_what_was_voided_since_is_refused(
    make_settings: Callable[..., Settings], broker: Broker
) -> None:
    settings = make_settings()
    broker.make_topics(settings)
    log = Written(topic=settings.topic)
    log.record(*opened("a", "b", "c"))
    log.send(broker, settings)
    await project(settings)
    take(settings, settings.projection, "early")
    before = log.seqs()
    log.record(*opened("d", "e", "f"))
    log.send(broker, settings)
    await project(settings)
    take(settings, settings.projection, "late")
    log.void("v", before)
    log.record(*opened("g", "h", "i"))
    log.send(broker, settings)
    await replay(settings, DOMAIN, Target(end=True))

    with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
        obeying = tables(conn, settings.projection)
        with pytest.raises(RestoreRefused, match="holds what was voided since"):
            await restore(settings, DOMAIN, "late")
        assert tables(conn, settings.projection) == obeying
        assert {one.purpose for one in beside_of(conn, settings.projection)} == {"swapped"}

        await restore(settings, DOMAIN, "early")
        assert {row[0] for row in tables(conn, settings.projection)["accounts"]} == set("abc")
        await project(settings)
        assert tables(conn, settings.projection) == obeying
        assert {row[0] for row in obeying["accounts"]} == set("abcghi")
