"""What the apps counted, barrier by barrier, against the fold: what memory did is what the log did.

An app's sums are of changes since it began to count, so they are compared from one barrier to the
next. That needs nothing of the app but what is in the log already. Where it voids something it
begins to count anew: nothing is compared from before to behind, nor within what is void.
"""

from collections.abc import Iterable, Mapping

import msgspec

from projector.audit.compare import Finding, of_buckets
from projector.audit.log_fold import LogFold
from schemas.control import BarrierPlaced
from schemas.mend import Mend
from schemas.table_sums import Sums
from schemas.void import Voids


class _Mark(msgspec.Struct, frozen=True):
    counting: str
    offset: int
    writer: dict[str, bytes]
    log: dict[str, bytes]


class WriterSums:
    """Compares as the fold comes by barriers; where it was at the last one is kept beside it."""

    def __init__(
        self,
        fold: LogFold,
        known: Mapping[tuple[str, int], bytes],
        mends: Iterable[Mend] = (),
        voids: Voids | None = None,
    ) -> None:
        self._fold = fold
        self._voids = voids
        self._mends = [(mend.partition, mend.at) for mend in mends]
        self._marks = {
            lane: msgspec.msgpack.decode(mark, type=_Mark) for lane, mark in known.items()
        }
        self.findings: list[Finding] = []
        self.compared = 0

    def at_barrier(self, event: BarrierPlaced, source: str, partition: int, seq: int) -> None:
        """Compare how the sums moved since the barrier before; `seq` is this one's in its lane."""
        if not event.counting:
            return
        if self._voids and self._voids.touches(source, partition, seq):
            self.forget(source, partition)
            return
        offset = self._fold.offsets[partition]
        log = self._fold.state.sums_of(source, partition)
        writer = {table: sums.opened()[0] for table, sums in event.sums.items()}
        before = self._marks.get((source, partition))
        if (
            before is not None
            and before.counting == event.counting
            and not self._fold.failures  # what does not fold is said anyway
            and not self._mended(partition, before.offset, offset)
        ):
            self.compared += 1
            for table in sorted({*writer, *before.writer} & self._fold.tables):
                told = _moved(writer.get(table), before.writer.get(table))
                found = _moved(log.get(table), before.log.get(table))
                if buckets := told.unlike(found):
                    self._found(source, partition, table, buckets, before.offset, offset)
        self._note(source, partition, _Mark(event.counting, offset, _packed(writer), _packed(log)))

    def forget(self, source: str, partition: int) -> None:
        """Compare nothing of a lane from before to behind this place."""
        self._note(source, partition, _Mark("", 0, {}, {}))

    def _note(self, source: str, partition: int, mark: _Mark) -> None:
        self._marks[source, partition] = mark
        self._fold.marks[source, partition] = msgspec.msgpack.encode(mark)

    def _mended(self, partition: int, first: int, last: int) -> bool:
        """Say whether something of the log is given up in between: the app still had it."""
        return any(p == partition and first <= at < last for p, at in self._mends)

    def _found(  # noqa: PLR0917
        self, source: str, partition: int, table: str, buckets: list[int], first: int, last: int
    ) -> None:
        self.findings.append(
            of_buckets(
                "memory", "differs", table, buckets,
                f"between offsets {first} and {last} of partition {partition}, what source "
                f"{source!r} did to its memory is not what it wrote to the log",
            )
        )  # fmt: skip


def _moved(now: Sums | None, before: bytes | None) -> Sums:
    return (now or Sums()) - (Sums.unpacked(before) if before is not None else Sums())


def _packed(sums: Mapping[str, Sums]) -> dict[str, bytes]:
    return {table: one.packed() for table, one in sums.items()}
