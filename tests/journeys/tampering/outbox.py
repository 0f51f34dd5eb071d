"""A running app's outbox file, changed beside it through another connection."""

import hashlib
import random
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import apsw

from eventlog.outbox.contract import OutboxInvalid, OutboxRow
from eventlog.outbox.integrity import check_whole
from projector.audit.compare import Finding
from projector.audit.run import audit
from schemas.trading import DOMAIN
from tests.journeys.tampering.cases import Case, Judged, judged
from tests.journeys.tampering.events import altered_bit, forged
from tests.journeys.tampering.trader import Trader

Rows = list[OutboxRow]
_BUSY_MS = 10_000
_ALL = "SELECT row, partition, seq, stream, event FROM event ORDER BY row"


class Done(NamedTuple):
    """What was done: in words, the rows that stand now, and of each lane the numbers concerned."""

    words: str
    rows: Rows
    lanes: dict[int, set[int]]
    pruned_like: bool = False
    """A beginning that is gone looks as if it was pruned: only the app itself knows better."""


class OutboxPlace:
    """One app's file, tampered with and put back again and again."""

    def __init__(self, app: Trader) -> None:
        self._app = app
        self._path: Path = app.settings.outbox_path
        self._db = apsw.Connection(str(self._path))
        self._db.set_busy_timeout(_BUSY_MS)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    async def judge(self, case: Case) -> Judged:
        """Tamper, audit, check the file by itself, put everything back."""
        before = [OutboxRow(*row) for row in self._db.execute(_ALL)]
        done = _HOW[case.kind](before, case.draw())
        newest = before[-1].row
        self._write(newest, done.rows)
        try:
            found = await self.audit()
            alone = _check_alone(self._path)
        finally:
            self._write(newest, before)
        texts = [finding.detail for finding in found]
        missed: list[object] = [
            f"partition {partition}, of seqs {sorted(seqs)[:3]}"
            for partition, seqs in done.lanes.items()
            if not any(_names(text, partition, seqs) for text in texts)
        ]
        if not alone and not done.pruned_like:
            missed.append("nothing is said by `memferry outbox --check`")
        return judged(case, done.words, found, missed)

    async def audit(self) -> list[Finding]:
        """Compare memory and log, and have the app look at its outbox."""
        result = await audit(self._app.settings, DOMAIN, with_tables=False, full=True, timeout_s=30)
        return [finding for finding in result.findings if finding.witness == "outbox"]

    def _write(self, newest: int, rows: Iterable[OutboxRow]) -> None:
        """Have these rows stand in place of all up to `newest`; what came since stays."""
        with self._db:
            self._db.execute("DELETE FROM event WHERE row <= ?", (newest,))
            self._db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)


def _check_alone(path: Path) -> list[str]:
    """Return what `memferry outbox --check` says of a file."""
    try:
        return check_whole(path)[1]
    except OutboxInvalid as error:
        return [error.what]


def _names(text: str, partition: int, seqs: set[int]) -> bool:
    """Say whether a text names a partition and one of the numbers, or their neighbours."""
    numbers = {int(number) for number in re.findall(r"(?<![\w-])-?\d+", text)}
    near = {seq + step for seq in seqs for step in (-1, 0, 1)}
    return f"partition {partition}" in text and bool(numbers & near)


def _flip(rows: Rows, draw: random.Random) -> Done:
    at = draw.randrange(len(rows))
    row = rows[at]
    after = row._replace(event=altered_bit(row.event, draw))
    return Done(f"{_place(row)}: one bit", _with(rows, at, after), {row.partition: {row.seq}})


def _delete(rows: Rows, draw: random.Random) -> Done:
    at = draw.randrange(len(rows))
    row = rows[at]
    return Done(f"{_place(row)}: deleted", rows[:at] + rows[at + 1 :], {row.partition: {row.seq}})


def _insert(rows: Rows, draw: random.Random) -> Done:
    at = draw.randrange(len(rows))
    row = rows[at]
    event = forged(row.event, row.seq, hashlib.sha256(row.event).hexdigest())
    words = f"{_place(row)}: a forged one behind it, those before it moved up"
    return _moved_up(rows, at, row._replace(event=event), words)


def _duplicate(rows: Rows, draw: random.Random) -> Done:
    at = draw.randrange(len(rows))
    row = rows[at]
    return _moved_up(rows, at, row, f"{_place(row)}: twice, those before it moved up")


def _moved_up(rows: Rows, at: int, added: OutboxRow, words: str) -> Done:
    """Make room: the file's keys let no two events have one row, or one number in their lane."""
    lane = added.partition
    before = [
        row._replace(row=row.row - 1, seq=row.seq - (row.partition == lane))
        for row in rows[: at + 1]
    ]
    seqs = {row.seq for row in before if row.partition == lane}
    return Done(words, [*before, added, *rows[at + 1 :]], {lane: seqs})


def _swap(rows: Rows, draw: random.Random) -> Done:
    one, other = draw.sample(range(len(rows)), 2)
    a, b = rows[one], rows[other]
    changed = _with(rows, one, a._replace(stream=b.stream, event=b.event))
    changed = _with(changed, other, b._replace(stream=a.stream, event=a.event))
    lanes: dict[int, set[int]] = {}
    for row in (a, b):
        lanes.setdefault(row.partition, set()).add(row.seq)
    return Done(f"{_place(a)} and {_place(b)} exchanged", changed, lanes)


def _truncate(rows: Rows, draw: random.Random) -> Done:
    at = draw.randrange(len(rows))
    beginning = draw.randrange(4) == 0
    gone = rows[: at + 1] if beginning else rows[at:]
    lanes: dict[int, set[int]] = {}
    for row in gone:
        lanes.setdefault(row.partition, set()).add(row.seq)
    if beginning:
        return Done(f"up to {_place(rows[at])}: cut off", rows[at + 1 :], lanes, pruned_like=True)
    return Done(f"from {_place(rows[at])}: cut off", rows[:at], lanes)


def _with(rows: Rows, at: int, row: OutboxRow) -> Rows:
    return [*rows[:at], row, *rows[at + 1 :]]


def _place(row: OutboxRow) -> str:
    return f"row {row.row}, partition {row.partition}, seq {row.seq}"


_HOW: dict[str, Callable[[Rows, random.Random], Done]] = {
    "flip": _flip, "delete": _delete, "insert": _insert, "swap": _swap,
    "duplicate": _duplicate, "truncate": _truncate,
}  # fmt: skip
