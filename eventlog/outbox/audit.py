"""A running app's own outbox against what the app wrote: nothing of it may have been touched since.

The app knows the last event of each lane by its SHA-256, so also the newest is vouched for, which
no other event continues yet.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from eventlog.outbox.contract import OutboxInvalid, OutboxRow, Written
from eventlog.outbox.integrity import LaneChecks, View, breaks, chunks_of, ends, view_of
from eventlog.outbox.opening import postgres_place
from schemas import envelope
from schemas.lane import LaneHead
from schemas.requests import OutboxAnswer
from schemas.settings import Settings

_ROWS_A_BREATH = 256


class OwnOutbox:
    """A running app's outbox, looked at again and again; used by one thread.

    What was found sound is not read again, unless all of it is asked for.
    """

    def __init__(self, settings: Settings, written: Callable[[], Written]) -> None:
        self._settings = settings
        self._written = written
        self._row = 0
        self._heads: dict[int, LaneHead] = {}

    def check(self, *, whole: bool) -> OutboxAnswer:
        """Say what is wrong with it; the app goes on meanwhile.

        What is appended or pruned meanwhile is no finding; an outbox that cannot be read is one.
        """
        if whole:
            self._row, self._heads = 0, {}
        try:
            return self._check()
        except OutboxInvalid as error:
            return OutboxAnswer(0, [error.what], {}, {})

    def _check(self) -> OutboxAnswer:
        before = self._written()  # durable by now, so the view has it
        with _view(self._settings, pages=not self._row) as view:
            if view.identity is None:
                raise OutboxInvalid("the outbox is empty", where="the place that the settings name")
            checks = LaneChecks(view.identity, self._heads)
            findings, count, last = list(view.findings), 0, self._row
            first: dict[int, int] = {}
            at_head: dict[int, str] = {}
            for rows in chunks_of(view, _ROWS_A_BREATH, self._row):
                time.sleep(0)  # the app's own threads want the interpreter's lock, too
                count, last = count + len(rows), rows[-1].row
                for row in rows:
                    first.setdefault(row.partition, row.seq)
                    if (head := before.heads.get(row.partition)) and row.seq == head.seq:
                        at_head[row.partition] = envelope.digest(row.event)
                findings += [f"{_place(rows, row)}: {wrong}" for row, wrong in breaks(checks, rows)]
            findings += ends(checks, view.heads)
        findings += self._against(before, checks, first, at_head)
        if not findings:
            self._row, self._heads = last, checks.heads()
        return OutboxAnswer(
            count, findings, {p: seq for p, seq in first.items() if p >= 0},
            {p: (head.seq, head.digest) for p, head in checks.heads().items() if p >= 0},
        )  # fmt: skip

    def _against(
        self,
        before: Written,
        checks: LaneChecks,
        first: Mapping[int, int],
        at_head: Mapping[int, str],
    ) -> Iterator[str]:
        """Yield where what was read is not what the app wrote."""
        after = self._written()
        for partition, head in before.heads.items():
            if partition in checks.broken:
                continue
            known = self._heads.get(partition)
            kept = after.firsts.get(partition, 1)
            begin = first.get(partition)
            if known is not None and begin is None:
                if known.seq < head.seq:
                    yield f"partition {partition} ends at seq {known.seq}, not at {head.seq}"
            elif begin is None:
                if kept <= head.seq:
                    yield f"partition {partition} is empty; the app wrote to seq {head.seq}"
            elif known is None and begin > kept:
                yield f"partition {partition} begins with seq {begin}, not with {kept}"
            elif begin <= head.seq:
                yield from _end(partition, head, checks.heads()[partition], at_head.get(partition))


def _end(partition: int, head: LaneHead, found: LaneHead, digest: str | None) -> list[str]:
    if found.seq < head.seq:
        return [
            f"partition {partition} ends at seq {found.seq}; the app wrote up to seq {head.seq}"
        ]
    if digest != head.digest:
        return [f"partition {partition}, seq {head.seq}: the event is not the one the app wrote"]
    return []


def _place(rows: list[OutboxRow], number: int) -> str:
    row = next(row for row in rows if row.row == number)
    return f"row {number}, partition {row.partition}, seq {row.seq}"


def _view(settings: Settings, *, pages: bool) -> AbstractContextManager[View]:
    if settings.outbox.kind == "sqlite":
        return view_of(settings.outbox_path, pages=pages)
    place = postgres_place(settings)
    from eventlog.outbox.postgres_view import view_of as view_in_postgres  # noqa: PLC0415  (driver)

    return view_in_postgres(place)
