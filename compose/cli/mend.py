"""`memferry mend`: let a partition go on that stands still for a damage of the log."""

import asyncio
from typing import Annotated

from cyclopts import Parameter

from compose.cli.context import Common
from compose.cli.output import out, print_json
from projector.control_tables import connect
from projector.mending.damage import Proposal
from projector.mending.deciding import Stopped, stopped_partitions
from projector.mending.deciding import mend as decide_mend
from schemas.errors import SettingsInvalid
from schemas.mend import Mend


def mend(
    partition: int | None = None,
    /,
    *,
    reason: str = "",
    ignore: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
    continue_at: int | None = None,
    common: Common = Common(),  # noqa: B008
) -> int:
    """Show what stops a partition and what would let it go on; with --reason, decide it.

    Without --reason nothing is changed: exits with 1 where a partition stands still. The decision
    goes into the audit trail and the control topic, and every later replay obeys it.

    Parameters
    ----------
    partition
        The partition to mend. None: all that stand still are shown.
    reason
        Why, for the audit trail. It makes the decision.
    ignore
        Instead of what is proposed: offsets of records that count as no events.
    continue_at
        Instead of what is proposed: offset of the record that its lane goes on with, whatever
        stands before it.
    """
    by_hand = ignore is not None or continue_at is not None
    if (reason or by_hand) and partition is None:
        raise SettingsInvalid(
            "a decision is about one partition",
            remedy="name it: `memferry mend PARTITION --reason TEXT`",
        )
    if by_hand and not reason:
        raise SettingsInvalid(
            "--ignore and --continue-at are a decision, which needs its reason",
            remedy="add --reason TEXT",
        )
    settings, domain = common.load_hand_written()
    name = settings.projection or domain.name
    conn = connect(settings, "mend")
    try:
        if not reason:
            found = asyncio.run(stopped_partitions(conn, settings, name))
            found = [one for one in found if partition in (None, one.partition)]
            return _show(found, common)
        assert partition is not None  # noqa: S101  (refused above)
        given = Mend(0, partition, 0, ignore=tuple(ignore or ()), continue_at=continue_at)
        decided = asyncio.run(
            decide_mend(
                conn, settings, name, partition, reason=reason, by_hand=given if by_hand else None
            )
        )
    finally:
        conn.close()
    if common.json:
        print_json(decided)
    else:
        for proposal in decided:
            _print(proposal, "decided")
        out.print("a projector that runs goes on by itself; one that ended is started again")
    return 0


def _show(found: list[Stopped], common: Common) -> int:
    if common.json:
        print_json(found)
        return 1 if found else 0
    if not found:
        out.print("no partition stands still")
    for one in found:
        out.print(f"[bold]partition {one.partition}[/bold] stands still at offset {one.offset}")
        out.print(f"  {one.reason}", markup=False, soft_wrap=True)
        for proposal in one.proposals:
            _print(proposal, "would")
        if one.proposals:
            out.print(f"  to decide it: memferry mend {one.partition} --reason TEXT")
        elif one.not_mendable:
            out.print(f"  {one.not_mendable}", markup=False, soft_wrap=True)
        else:
            out.print("  no damage of the log: a projector that starts tries again")
    return 1 if found else 0


def _print(proposal: Proposal, verb: str) -> None:
    made = proposal.mend
    parts = []
    if made.ignore:
        parts.append(f"ignore offsets {', '.join(map(str, made.ignore))}")
    if made.continue_at is not None:
        parts.append(f"continue {made.source} at offset {made.continue_at}")
    out.print(f"  {verb}: {'; '.join(parts)}", markup=False, soft_wrap=True)
    out.print(f"    {proposal.effect}", markup=False, soft_wrap=True)
