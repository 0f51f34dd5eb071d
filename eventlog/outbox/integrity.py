"""Whether an outbox's events continue one another, as its lanes say: its end at each opening, all
of it on request.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import apsw

from eventlog.outbox.contract import OutboxIdentity, OutboxInvalid, OutboxRow
from eventlog.outbox.sqlite_reader import (
    BUSY_MS,
    LAST_ROW,
    damage_named,
    read_heads,
    read_identity,
    read_rows,
    require_outbox,
    require_recent_sqlite,
)
from schemas import envelope
from schemas.lane import CONTROL_PARTITION, LaneBroken, LaneCheck, LaneHead, LaneId, genesis

TAIL_EVENTS = 200
"""Of each lane that an opening looks at: what a crash can have damaged is at the end."""
_CHUNK = 5_000
_NEWEST = """
SELECT row, partition, seq, stream, event FROM event WHERE partition = ? ORDER BY seq DESC LIMIT ?
"""


def require_whole_end(db: apsw.Connection, path: Path, identity: OutboxIdentity) -> None:
    """Check the newest events of each lane; raises OutboxInvalid, naming the first that is wrong.

    The time this takes does not depend on how many events the outbox holds.
    """
    newest, data_rows = 0, False
    for partition, head in read_heads(db).items():
        found = db.execute(_NEWEST, (partition, TAIL_EVENTS))
        rows = [OutboxRow(*row) for row in reversed(found.fetchall())]
        wrong = _first_wrong(rows, head, identity)
        if wrong is None and not rows and partition == CONTROL_PARTITION:
            wrong = "it has no events, and those of this lane are never pruned"
        if wrong is not None:
            raise _damaged(path, LaneId(identity.source, identity.generation, partition), wrong)
        if rows:
            newest = max(newest, rows[-1].row)
            data_rows = data_rows or partition != CONTROL_PARTITION
    last: int = db.execute(LAST_ROW).get
    if newest > last or (data_rows and newest != last):
        raise _damaged(path, None, f"its newest row is {newest}, its lanes hold {last} events")


def _first_wrong(rows: list[OutboxRow], head: LaneHead, identity: OutboxIdentity) -> str | None:
    if not rows:
        return None
    if rows[-1].seq != head.seq:
        return f"it ends at seq {rows[-1].seq}, its head says {head.seq}"
    if envelope.digest(rows[-1].event) != head.digest:
        return f"event {head.seq} is not the one that its head was made of"
    return next((wrong for _, wrong in breaks(LaneChecks(identity), rows)), None)


class LaneChecks:
    """The checks of all lanes of one outbox; a lane goes on behind its head, where one is given.

    Others begin at the first event that is given.
    """

    def __init__(
        self, identity: OutboxIdentity, heads: Mapping[int, LaneHead] = MappingProxyType({})
    ) -> None:
        self._identity = identity
        self._checks = {
            partition: LaneCheck(LaneId(identity.source, identity.generation, partition), head)
            for partition, head in heads.items()
        }
        self.broken: set[int] = set()
        """Partitions of which something was found: what comes after it says nothing new."""

    def of(self, row: OutboxRow, chain: str, epoch: int) -> LaneCheck:
        """Return the check of an event's lane."""
        check = self._checks.get(row.partition)
        if check is None:
            lane = LaneId(self._identity.source, self._identity.generation, row.partition)
            before = LaneHead(row.seq - 1, chain, epoch)  # what was pruned is vouched for by it
            check = LaneCheck(lane, before if row.seq > 1 else genesis(lane))
            self._checks[row.partition] = check
        return check

    def heads(self) -> dict[int, LaneHead]:
        """Return where each lane has come to."""
        return {partition: check.head for partition, check in self._checks.items()}


def breaks(checks: LaneChecks, rows: list[OutboxRow]) -> Iterator[tuple[int, str]]:
    """Yield the first event of each lane that does not continue it: its row, and why."""
    for row in rows:
        if row.partition in checks.broken:
            continue
        wrong = _wrong(checks, row)
        if wrong is not None:
            checks.broken.add(row.partition)
            yield row.row, wrong


def _wrong(checks: LaneChecks, row: OutboxRow) -> str | None:
    try:
        event = envelope.decode(row.event)
        place = int(event.seq), event.subject
        if place != (row.seq, row.stream):
            return f"event {row.seq} of {row.stream!r} says that it is {place}"
        check = checks.of(row, event.chain, event.epoch)
        if check.admit(row.event, row.seq, event.epoch, event.chain, row.row):
            return None
    except (LaneBroken, envelope.EnvelopeInvalid) as error:
        return error.what
    return f"event {row.seq} is there twice"


class View(NamedTuple):
    """One outbox as it was at one moment, however long it is read."""

    identity: OutboxIdentity | None
    heads: dict[int, LaneHead]
    rows: Callable[[int, int], list[OutboxRow]]
    findings: list[str]
    """What is wrong with its place itself."""


@contextmanager
def view_of(path: Path, *, pages: bool = True) -> Iterator[View]:
    """Open a view of a file; raises OutboxInvalid where it cannot be read at all.

    `pages`: SQLite looks at every page of it first.
    """
    require_recent_sqlite()
    require_outbox(path)
    with damage_named(path):
        db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        db.set_busy_timeout(BUSY_MS)
        try:
            with db:  # one view of the file, from the first page to the last
                identity = read_identity(db, path)
                looked = db.execute("PRAGMA quick_check(10)") if pages else ()
                said = [said for (said,) in looked]
                heads = read_heads(db) if identity is not None else {}
                findings = [one for one in said if one != "ok"]
                yield View(identity, heads, partial(read_rows, db), findings)
        finally:
            db.close()


def check_whole(path: Path) -> tuple[int, list[str]]:
    """Read a whole outbox; return how many events it holds and what is wrong with them.

    Its app may go on meanwhile. Raises: OutboxInvalid where it cannot be read at all.
    """
    with view_of(path) as view:
        if view.identity is None:
            return 0, [*view.findings, "the file is empty"]
        checks, findings, count = LaneChecks(view.identity), list(view.findings), 0
        for rows in chunks_of(view, _CHUNK):
            findings += [f"row {row}: {wrong}" for row, wrong in breaks(checks, rows)]
            count += len(rows)
        return count, findings + ends(checks, view.heads)


def chunks_of(view: View, size: int, after: int = 0) -> Iterator[list[OutboxRow]]:
    """Yield the events of an outbox behind a row, in commit order."""
    while rows := view.rows(after, size):
        yield rows
        after = rows[-1].row


def ends(checks: LaneChecks, heads: Mapping[int, LaneHead]) -> list[str]:
    """Return which whole lanes do not end where the outbox itself says that they do."""
    return [
        f"partition {partition} ends at {head}, not at {heads.get(partition)}"
        for partition, head in checks.heads().items()
        if partition not in checks.broken and head != heads.get(partition)
    ]


def _damaged(path: Path, lane: LaneId | None, what: str) -> OutboxInvalid:
    return OutboxInvalid(
        f"the outbox file is damaged: {f'lane {lane}: ' if lane else ''}{what}",
        where=str(path),
        remedy="keep the file; its events may be in the topic (`memferry status`)",
    )
