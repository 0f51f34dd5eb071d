"""Many events into one fold, as long as there is nothing odd about them.

The quick way of what projector/batch.py does: an event that is the next of its lane, of a current
type and handled without an error is folded at once. At anything else it stands still, and the
careful way takes over (projector/replay/rebuild/pouring.py).
"""

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from projector.effects import Effects
from projector.fold import Fold
from projector.lanes import LaneBook
from projector.parking import kept_text
from projector.plain_types import set_class
from projector.replay.rebuild.record_batches import Stored
from projector.transaction import Folded
from schemas import envelope
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneCheck, LaneHead, LaneId

_DIGITS_MOST = 19
"""Of a lane's largest number."""


class Placed(NamedTuple):
    """A stored record with its place, as the careful way takes it."""

    partition: int
    offset: int
    value: bytes | None
    topic: str


class Gathered:
    """What one transaction will apply, and the records that it is made of."""

    def __init__(self, domain: Domain, begins: Mapping[int, int]) -> None:
        self._begins = dict(begins)
        self.fold = Fold(domain.tables.values())
        self.records: dict[int, list[Stored]] = {}
        self.heads: dict[LaneId, LaneHead] = {}
        self.behind: list[Placed] = []
        """Of streams that wait already."""
        self.events = 0
        """In the fold; the void ones and duplicates are not among them."""
        self.duplicates = 0
        self.count = self.bytes = 0
        """Of the records."""

    def add(self, partition: int, records: Sequence[Stored]) -> None:
        """Take records over that are in the fold."""
        if records:
            self.records.setdefault(partition, []).extend(records)
            self.count += len(records)
            self.bytes += sum([len(record.value or b"") for record in records])

    def ends(self) -> dict[int, int]:
        """Return where each partition goes on behind it."""
        return self._begins | {p: records[-1].offset + 1 for p, records in self.records.items()}

    def folded(self) -> Folded:
        """Return it as a transaction takes it."""
        offsets = {
            partition: (
                self._begins[partition],
                records[-1].offset + 1,
                envelope.digest(records[-1].value or b""),
            )
            for partition, records in self.records.items()
        }
        return Folded(offsets, self.heads, self.fold, self.events, list(self.behind))


class Gatherer:
    """A domain's handlers over records, for one projection; moves its lanes."""

    def __init__(
        self, domain: Domain, lanes: LaneBook, odd: Mapping[int, Collection[int]], topic: str
    ) -> None:
        effects = Effects(domain)
        self._decode, self._whole = effects.decode, effects.whole
        self._lanes = lanes
        self._odd = odd
        """Partition → offsets at which the lanes themselves must look, for there is a mend."""
        self._topic = topic

    def take(  # noqa: PLR0912, PLR0915  (see within)
        self,
        gathered: Gathered,
        partition: int,
        records: Sequence[Stored],
        waiting: Collection[str],
    ) -> int:
        """Fold records of a partition in; return how many: fewer where one is odd.

        Where one is odd, the lanes are where they are by chance: `rewind` puts them right.
        Raises: ChangeRefused, and whatever a change raises that fits no table: nothing of
                `gathered` counts then.
        """
        # Everything that an event needs is a local name, and what is true of most events is
        # compared here and not in a function: a call costs as much as a handler.
        decode, whole_of, odd = self._decode, self._whole, self._odd.get(partition, ())
        voids, fresh, next_text = self._lanes.voids, sha256(), ""
        changes: list[Any] = []
        check: LaneCheck | None = None
        source, seq, digest, epoch = "", 0, "", 0
        may_be_void = moved = False
        taken = events = 0
        for record in records:
            value = record.value
            if odd and record.offset in odd:
                break
            try:
                whole = decode(value)
            except Exception:  # of another version, a control event, or none of ours
                break
            if not (
                whole.seq == next_text
                and whole.chain == digest
                and whole.source == source
                and whole.epoch >= epoch
            ):
                if check is not None and moved:
                    check.pass_to(seq, digest, epoch)
                    gathered.heads[check.lane], moved = check.head, False
                check = self._lanes.check(whole.source, partition)
                if check is None:
                    break
                source, head = whole.source, check.head
                seq, digest, epoch, next_text = (
                    head.seq, head.digest, head.epoch, str(head.seq + 1),
                )  # fmt: skip
                may_be_void = (source, partition) in voids.lanes
                if not (whole.seq == next_text and whole.chain == digest and whole.epoch >= epoch):
                    if not self._is_duplicate(partition, record, whole, seq):
                        break
                    gathered.duplicates += 1
                    taken += 1
                    continue
            if may_be_void and voids.covers(source, partition, seq + 1, whole.subject):
                pass
            elif waiting and kept_text(whole.subject) in waiting:
                gathered.behind.append(Placed(partition, record.offset, value, self._topic))
            else:
                made_of, becomes, project = whole_of[type(whole)]
                data = whole.data
                try:
                    if becomes is not None:
                        set_class(data, becomes)
                    elif made_of is not None:
                        data = made_of(data)
                    changes += tuple(project(data))
                except Exception:
                    break
                events += 1
            hashed = fresh.copy()  # quicker than a new one
            hashed.update(value)  # type: ignore[arg-type]  # it was decoded
            digest, epoch, moved = hashed.hexdigest(), whole.epoch, True
            seq += 1
            next_text = str(seq + 1)
            taken += 1
        if check is not None and moved:
            check.pass_to(seq, digest, epoch)
            gathered.heads[check.lane] = check.head
        gathered.fold.add_all(changes)
        gathered.events += events
        gathered.add(partition, records[:taken])
        return taken

    def _is_duplicate(self, partition: int, record: Stored, whole: Any, seq: int) -> bool:
        """Say whether a record was applied before; whatever else it is, is the careful way's."""
        text = whole.seq
        if not text.isdecimal() or len(text) > _DIGITS_MOST or int(text) > seq:
            return False
        placed = Placed(partition, record.offset, record.value, self._topic)
        try:
            return self._lanes.admit_opened(placed, record.value or b"", whole, int(text)) is None
        except FerryError:
            return False
