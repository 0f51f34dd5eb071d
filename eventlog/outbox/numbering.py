"""Waiting events get their places: row, number in their lane, chain. Sealed, they are for ever."""

from collections.abc import Callable, Mapping, Sequence

from eventlog.outbox.columns import Columns
from eventlog.outbox.contract import Pending
from schemas import envelope
from schemas.lane import LaneHead, LaneId, genesis

FIRST_EPOCH = 1
"""The epoch of every lane until a switch's barrier raises it."""


def number(
    pending: Sequence[Pending],
    last_row: int,
    heads: Mapping[int, LaneHead],
    lane: Callable[[int], LaneId],
) -> tuple[Columns, dict[int, LaneHead]]:
    """Return events in order behind a row and behind the lanes' heads, and the new heads of theirs.

    `heads` may lack a lane that has no event yet; `lane` names it.
    """
    seal, digest_of = envelope.seal, envelope.digest
    seqs: list[int] = []
    sealed: list[bytes] = []
    places: dict[int, tuple[int, str, int]] = {}
    for item in pending:
        partition = item.partition
        place = places.get(partition)
        if place is None:
            head = heads.get(partition) or genesis(lane(partition))
            place = (head.seq, head.digest, max(head.epoch, FIRST_EPOCH))
        before, chain, lanes_epoch = place
        seq = before + 1
        # A barrier raises its lane's epoch, what follows keeps it: it never falls in a lane.
        epoch = lanes_epoch if lanes_epoch > item.epoch else item.epoch
        event = seal(item.head, item.data, seq, epoch, chain)
        digest = digest_of(event)
        places[partition] = (seq, digest, epoch)
        if item.digest is not None:
            item.digest = digest
        seqs.append(seq)
        sealed.append(event)
    columns = Columns(
        range(last_row + 1, last_row + 1 + len(seqs)),
        [item.partition for item in pending],
        seqs,
        [item.stream for item in pending],
        sealed,
    )
    return columns, {partition: LaneHead(*place) for partition, place in places.items()}
