"""A sample of `make audit-clean`: audits under load find nothing, whatever happens meanwhile."""

import random
from pathlib import Path

from compose.stack import Stack
from tests.journeys.quiet_audits import Event, Quiet

_EVENTS_PER_S = 400
_HAPPENING: tuple[Event, ...] = (
    "nothing", "kill relay", "savepoint", "look back", "nothing", "nothing", "look back",
    "nothing", "void streams", "nothing",
)  # fmt: skip


async def test_audits_under_load_through_a_kill_and_a_look_back_find_nothing(
    stack: Stack, tmp_path: Path
) -> None:
    endpoints = stack.endpoints()
    assert endpoints is not None
    quiet = Quiet(endpoints, tmp_path, random.Random(1), _EVENTS_PER_S)
    try:
        await quiet.start()
        audits = [await quiet.audit(n, event) for n, event in enumerate(_HAPPENING)]
    finally:
        quiet.close()

    assert [one.alarm for one in audits if one.alarm] == []
    assert [one.failed for one in audits if one.failed] == []
    assert {one.state for one in audits} > {"live"}
    assert sum(one.events for one in audits) > 1_000
