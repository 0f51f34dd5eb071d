from typing import Any

import psycopg

from projector.replay.beside import beside_of
from projector.replay.planning import make_plan
from projector.replay.replaying import replay
from projector.replay.target import Target
from schemas.position import format_offsets
from tests.domains.ledger import DOMAIN
from tests.projector.app import App, tables
from tests.projector.projecting import ends
from tests.projector.replay.conftest import middle


async def test_a_plan_with_rows_says_what_a_replay_then_does_and_changes_nothing(
    projected: App, database: psycopg.Connection[Any]
) -> None:
    settings = projected.settings
    position, before = await middle(settings), tables(database, settings.projection)
    target = Target(offset=format_offsets(position))

    plan = await make_plan(settings, DOMAIN, target, rows=True)
    untouched = tables(database, settings.projection)
    left = beside_of(database, settings.projection)
    await replay(settings, DOMAIN, target)
    after = tables(database, settings.projection)

    assert (untouched, left) == (before, [])
    assert plan.position == format_offsets(position)
    assert plan.before == format_offsets(await ends(settings))
    assert plan.events == sum((await ends(settings)).values()) - sum(position.values())
    assert plan.tables is not None
    for one in plan.tables:
        old, new = ({row[: len(DOMAIN.tables[one.table].key)]: row for row in found[one.table]}
                    for found in (before, after))  # fmt: skip
        assert one.deleted == len(old.keys() - new.keys())
        assert one.inserted == len(new.keys() - old.keys())
        assert one.changed == sum(old[key] != new[key] for key in old.keys() & new.keys())
    assert sum(one.rows for one in plan.tables) > 0


async def test_a_plan_without_rows_needs_nothing_but_the_log(projected: App) -> None:
    plan = await make_plan(projected.settings, DOMAIN, Target(end=True))

    assert (plan.events, plan.tables, plan.target) == (0, None, "the log's end")
