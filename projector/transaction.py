"""Rows, lanes and checkpoint in one transaction; one bad event is found by halving."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import psycopg

from projector.apply import Applier
from projector.batch import Item, Segment, newest_heads
from projector.checkpoint import Claim, advance
from projector.fold import ChangeRefused, Fold
from projector.stages import Stages
from schemas.domain import Domain
from schemas.errors import FerryError
from schemas.lane import LaneHead, LaneId

_RETRIES = 5


class EventRefused(FerryError):
    """The tables do not take what an event does to them; its partition stops before it."""


_REFUSALS = (
    ChangeRefused, psycopg.DataError, psycopg.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,  # a row that no index takes, say: not a passing trouble
)  # fmt: skip


class Transactions:
    """Applies segments, moving the claim's offsets and lanes with what is committed.

    `applied` counts the events whose effect is committed.
    """

    def __init__(
        self,
        conn: psycopg.Connection[Any],
        applier: Applier,
        domain: Domain,
        claim: Claim,
        stages: Stages | None = None,
    ) -> None:
        self._conn = conn
        self._stages = stages or Stages()
        self._applier = applier
        self._domain = domain
        self._claim = claim
        self.applied = 0

    def apply(self, segments: Sequence[Segment]) -> list[tuple[Segment, FerryError]]:
        """Commit what can be committed; return the segments that stopped, each with its reason.

        Raises: Fenced, or psycopg.OperationalError where the outcome is unknown.
        """
        try:
            self._commit(segments)
        except _REFUSALS as error:
            if len(segments) > 1:
                return [stop for segment in segments for stop in self.apply([segment])]
            return self._halve(segments[0], error)
        return [(segment, segment.stopped) for segment in segments if segment.stopped]

    def _halve(
        self, segment: Segment, error: ChangeRefused | psycopg.Error
    ) -> list[tuple[Segment, FerryError]]:
        items = segment.items
        if len(items) == 1:
            # What stands before the bad event (duplicates, say) is still done with.
            before = _before(segment, items[0].offset, [])
            self._commit([before])
            return [(segment, _refused(items[0], error))]
        middle = len(items) // 2
        cut = items[middle].offset
        first = _before(segment, cut, items[:middle])._replace(stopped=None)
        stopped = self.apply([first])
        if stopped:
            return stopped
        return self.apply([segment._replace(old_offset=cut, items=items[middle:])])

    def _commit(self, segments: Sequence[Segment]) -> None:
        begun = perf_counter()
        fold = Fold(self._domain.tables.values())
        add = fold.add
        for segment in segments:
            for item in segment.items:
                for change in item.changes:
                    add(change)
        self._stages.fold += perf_counter() - begun
        offsets = {
            s.partition: (s.old_offset, s.new_offset, s.tail)
            for s in segments
            if s.new_offset > s.old_offset
        }
        if not offsets:
            return
        heads = newest_heads(item for segment in segments for item in segment.items)
        for attempt in range(_RETRIES):
            try:
                self._commit_one(fold, offsets, heads)
                break
            except (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure):
                if attempt == _RETRIES - 1:
                    raise
        for partition, (_, new, _) in offsets.items():
            self._claim.offsets[partition] = new
        self._claim.lanes.update(heads)
        self.applied += sum(len(segment.items) for segment in segments)

    def _commit_one(
        self,
        fold: Fold,
        offsets: dict[int, tuple[int, int, str]],
        heads: dict[LaneId, LaneHead],
    ) -> None:
        begun = perf_counter()
        with self._conn.transaction():
            # The claim is tested first: a zombie fails before it touches a table.
            advance(self._conn, self._claim, offsets, heads.items())
            before_rows = perf_counter()
            self._applier.apply(fold)
            behind_rows = perf_counter()
        self._stages.commit += perf_counter() - behind_rows + before_rows - begun


def _before(segment: Segment, offset: int, items: list[Item]) -> Segment:
    """Return what stands before an offset; `items` are all that it has there."""
    last = items[-1] if items else None
    tail = last.head.digest if last is not None and last.offset == offset - 1 else ""
    return segment._replace(new_offset=offset, items=items, tail=tail)


def _refused(item: Item, error: ChangeRefused | psycopg.Error) -> EventRefused:
    what = str(error).strip().splitlines()[0]
    table = error.where if isinstance(error, ChangeRefused) else _table_of(error)
    return EventRefused(
        f"event {item.head.seq} cannot be applied: {what}",
        where=f"{table}; lane {item.lane}, seq {item.head.seq}, partition {item.partition}, "
        f"offset {item.offset}",
        remedy="correct the handler or the table and start the projector again; nothing behind "
        "this event in its partition is applied",
    )


def _table_of(error: psycopg.Error) -> str:
    detail = error.diag.message_detail or ""
    return f"table {error.diag.table_name or 'unknown'}{f' ({detail})' if detail else ''}"
