"""`memferry wait`: return once the tables hold a position, or one event."""

import asyncio

from compose.cli.context import Common
from compose.cli.output import err, out, print_json
from projector.control_tables import connect, read_projection
from projector.log import Log
from projector.replay.target import savepoint_offsets
from projector.waiting import PositionGoal, ReceiptGoal, parse_receipt, wait_until
from schemas.errors import SettingsInvalid
from schemas.position import kafka_topic, parse_offsets
from schemas.settings import Settings


def wait(
    *,
    to_offset: str | None = None,
    to_savepoint: str | None = None,
    to_end: bool = False,
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
    to_offset
        Exclusive Kafka offsets for every partition: 0:120,1:98 (one number for one partition).
    to_savepoint
        The position that `memferry savepoint take` named.
    to_end
        Everything that the topic holds now.
    receipt
        One recorded event, by its receipt: SOURCE:PARTITION:SEQ.
    timeout
        Seconds to wait at most; without it, for ever.
    despite_parked
        Count events that were put aside as if they were in the tables.
    """
    if sum((to_offset is not None, to_savepoint is not None, to_end, receipt is not None)) != 1:
        raise SettingsInvalid(
            "wait needs exactly one goal",
            remedy="give --to-offset OFFSETS, --to-savepoint NAME, --to-end or --receipt EVENT",
        )
    settings, domain = common.load_hand_written()
    name = settings.projection or domain.name
    goal: PositionGoal | ReceiptGoal
    if receipt is not None:
        goal = parse_receipt(receipt, despite_parked=despite_parked)
    else:
        offsets = _offsets(settings, name, to_offset, to_savepoint)
        goal = PositionGoal(offsets, despite_parked=despite_parked)

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


def _offsets(
    settings: Settings, projection: str, to_offset: str | None, to_savepoint: str | None
) -> dict[int, int]:
    """Return the position that is meant: of the text, of the savepoint, or the log's end."""
    conn = connect(settings, "wait")
    try:
        found = read_projection(conn, projection)
        if to_offset is not None:
            return parse_offsets(to_offset, found.partitions)
        if to_savepoint is not None:
            return savepoint_offsets(conn, projection, to_savepoint)
    finally:
        conn.close()

    async def end() -> dict[int, int]:
        async with Log(settings, kafka_topic(found.topic, found.generation)) as log:
            return {partition: end for partition, (_, end) in (await log.bounds()).items()}

    return asyncio.run(end())
