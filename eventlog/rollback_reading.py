"""A source's own events once more, from its outbox or from the topic: what memory was made of."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

from eventlog.outbox.contract import OutboxIdentity, OutboxReader, OutboxRow
from eventlog.restart.memory import every_row
from eventlog.restart.mends import read_mends
from eventlog.restart.tail import Tail, Wanted
from eventlog.rollback import RollbackRefused
from schemas import envelope
from schemas.control import CONTROL_PREFIX
from schemas.errors import FerryError
from schemas.lane import CONTROL_PARTITION, LaneHead
from schemas.settings import Settings

RowsOf: TypeAlias = Callable[[str], Iterable[OutboxRow]]
"""The rows of a kind by its name; of all kinds where that is empty. Each lane's in its order."""


class OutboxCut(FerryError):
    """The outbox no longer holds what is to be read; the topic may."""


class Beginning(NamedTuple):
    """Where reading begins: behind these events of the lanes, at these offsets of the topic."""

    after: Mapping[int, int]
    heads: Mapping[int, LaneHead] = {}
    """The same with their digests, where they are known: else the topic is read from nothing."""
    offsets: Mapping[int, int] = {}


class OwnEvents:
    """Reads one source's events up to `until`, the outbox's heads at one moment.

    Each lane is proven: by its numbers where the outbox has it whole, else also by its chain.
    """

    def __init__(
        self,
        settings: Settings,
        open_reader: Callable[[], OutboxReader],
        breathe: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._open_reader = open_reader
        self._breathe = breathe
        reader = open_reader()
        try:
            self.identity: OutboxIdentity = reader.identity
            self.until = {p: h for p, h in reader.heads().items() if p != CONTROL_PARTITION}
            self.rows = reader.last_row()
        finally:
            reader.close()

    @contextmanager
    def behind(
        self, beginning: Beginning, wanted: Wanted, *, outbox: bool = True
    ) -> Iterator[RowsOf]:
        """Give the wanted rows behind a beginning, of the topic only where `outbox` is False.

        Raises: OutboxCut, also while rows are read, where they were pruned meanwhile; what a
                restart from the log raises.
        """
        if outbox and self.in_outbox(beginning.after):
            yield lambda kind: self._from_outbox(beginning, wanted, f"{kind}/" if kind else "")
            return
        tail = self._tail(beginning, wanted)
        try:
            yield lambda kind: (
                row for name in ([kind] if kind else tail.kinds()) for row in tail.of_kind(name, {})
            )
        finally:
            tail.close()

    def in_outbox(self, after: Mapping[int, int]) -> bool:
        """Say whether the outbox holds everything behind these events."""
        reader = self._open_reader()
        try:
            return all(
                reader.at(p, after.get(p, 0) + 1) is not None
                for p, head in self.until.items()
                if head.seq > after.get(p, 0)
            )
        finally:
            reader.close()

    def _tail(self, beginning: Beginning, wanted: Wanted) -> Tail:
        whole = dict.fromkeys(range(self.identity.partitions), 0)
        return Tail(
            self._settings,
            self._open_reader,
            self.until,
            beginning.heads,
            {**whole, **beginning.offsets},
            mends=read_mends(self._settings),
            wanted=wanted,
            breathe=self._breathe,
        )

    def _from_outbox(
        self, beginning: Beginning, wanted: Wanted, prefix: str
    ) -> Iterator[OutboxRow]:
        due = {p: beginning.after.get(p, 0) + 1 for p in self.until}
        reader = self._open_reader()
        try:
            first = [row.row for p, seq in due.items() if (row := reader.at(p, seq)) is not None]
            for row in every_row(reader, min(first, default=self.rows + 1) - 1):
                if row.row > self.rows:
                    break
                partition, seq = row.partition, row.seq
                if seq < due.get(partition, seq + 1):
                    continue  # before the beginning, or of the control lane
                self._breathe()
                if seq != due[partition]:
                    break
                due[partition] += 1
                if seq == beginning.after.get(partition, 0) + 1:
                    self._require_continued(beginning.heads.get(partition), row)
                asked = row.stream.startswith(prefix) and wanted(partition, seq, row.stream)
                if asked and not is_ours(row):
                    yield row
        finally:
            reader.close()
        for partition, seq in due.items():
            if seq <= self.until[partition].seq:
                raise OutboxCut(
                    f"the outbox was pruned while it was read: it lacks event {seq}",
                    where=f"source {self.identity.source}, partition {partition}",
                )

    def _require_continued(self, head: LaneHead | None, row: OutboxRow) -> None:
        if head is not None and envelope.decode(row.event).chain != head.digest:
            raise RollbackRefused(
                f"event {head.seq} of the position is not the one that this outbox continues",
                where=f"source {self.identity.source}, partition {row.partition}",
                remedy="the database is of another life of this source: `memferry audit` says more",
            )


def is_ours(row: OutboxRow) -> bool:
    """Say whether a row is memferry's own event, as a barrier."""
    return row.stream.startswith(CONTROL_PREFIX.rstrip(".") + "/") and envelope.decode(
        row.event
    ).type.startswith(CONTROL_PREFIX)
