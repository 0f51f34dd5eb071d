"""`memferry wait`: return once the tables hold a position, or one event."""

import asyncio
from contextlib import closing

from compose.cli.context import Common
from compose.cli.output import err, out, print_json
from compose.cli.target import TargetOptions
from projector.control_tables import connect, read_projection
from projector.log import Log
from projector.replay.target import Target, resolve
from projector.waiting import PositionGoal, ReceiptGoal, parse_receipt, wait_until
from schemas.errors import SettingsInvalid
from schemas.position import kafka_topic
from schemas.settings import Settings


def wait(
    *,
    target: TargetOptions = TargetOptions(),  # noqa: B008
    receipt: str | None = None,
    timeout: float | None = None,
    despite_parked: bool = False,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Wait until the tables hold a position or an event; exit with 1 where they do not in time.

    PostgreSQL wakes the command; nothing is asked again and again. Where the projection is held, a
    partition stopped, or an event is parked, it says so and waits on.

    Parameters
    ----------
    receipt
        One recorded event, by its receipt: SOURCE:PARTITION:SEQ.
    timeout
        Seconds to wait at most; without it, for ever.
    despite_parked
        Count events that were put aside as if they were in the tables.
    """
    if (receipt is not None) == target.given:
        raise SettingsInvalid(
            "wait needs exactly one goal",
            remedy="give a target, as --to-end or --to-offset OFFSETS, or --receipt EVENT",
        )
    settings, domain = common.load_hand_written()
    name = settings.projection or domain.name
    goal: PositionGoal | ReceiptGoal
    if receipt is not None:
        goal = parse_receipt(receipt, despite_parked=despite_parked)
    else:
        position = asyncio.run(_position(settings, name, target.target()))
        goal = PositionGoal(position, despite_parked=despite_parked)

    def told(obstacles: tuple[str, ...]) -> None:
        for obstacle in obstacles:
            err.print(f"waiting: {obstacle}", soft_wrap=True, markup=False)

    look = asyncio.run(wait_until(settings, name, goal, timeout, told))
    if common.json:
        print_json(
            {
                "projection": name,
                "goal": str(goal),
                "reached": look.reached,
                "obstacles": look.obstacles,
            }
        )
    elif look.reached:
        out.print(f"the tables hold {goal}", soft_wrap=True, markup=False)
    else:
        why = "; ".join(look.obstacles) or "the projector has not applied it yet"
        out.print(f"not within {timeout:g} s: {goal}: {why}", soft_wrap=True, markup=False)
    return 0 if look.reached else 1


async def _position(settings: Settings, projection: str, target: Target) -> dict[int, int]:
    """Return the position that is meant."""
    with closing(connect(settings, "wait")) as conn:
        found = read_projection(conn, projection)
        async with Log(settings, kafka_topic(found.topic, found.generation)) as log:
            return (await resolve(settings, conn, log, projection, target, splits=False)).position
