"""Where a row parts from what the log made of it, event by event: plain functions over values."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from schemas.tables import Table

Verdict: TypeAlias = Literal["equal", "behind", "edited", "unexplained", "missing", "absent"]


class LogEvent(msgspec.Struct, frozen=True):
    """One event, as an operator finds it again."""

    partition: int
    offset: int
    id: str
    type: str
    time: str
    seq: int
    source: str

    def __str__(self) -> str:
        return f"{self.type} at partition {self.partition}, offset {self.offset}"


class Step(msgspec.Struct, frozen=True):
    """The row after an event, as text by column; None where there is none."""

    event: LogEvent
    texts: tuple[str, ...] | None
    refused: str = ""
    """Why the event changed nothing: it does not follow from the ones before it."""


class ColumnHistory(msgspec.Struct, frozen=True):
    """A column in which the row is not what the log says now.

    `agreed_after`: the last event after which the log had the value that is held. None: the log
    never had it. `differs_since`: the event after it, from which on the log has another.
    """

    column: str
    held: str
    expected: str
    agreed_after: LogEvent | None
    differs_since: LogEvent | None


class Judgement(msgspec.Struct, frozen=True):
    """How a row as a witness has it stands to the log.

    `equal`: it is what the log says. `behind`: it is what an earlier event left; `event` and those
    after it are not in it. `edited`: no event left it so; `columns` say since when. `unexplained`:
    no event of the log makes such a row. `missing`: `event` made it, and the witness has none.
    `absent`: neither has it.
    """

    verdict: Verdict
    says: str
    event: LogEvent | None = None
    """The first event after which the log and the witness differ."""
    columns: list[ColumnHistory] = []


def judge(table: Table, steps: Sequence[Step], held: tuple[str, ...] | None) -> Judgement:
    """Compare a row as it is held with each state that the log gave it, oldest first."""
    expected = steps[-1].texts if steps else None
    if held == expected:
        verdict: Verdict = "absent" if held is None else "equal"
        return Judgement(verdict, _SAME[verdict])
    if held is not None and all(step.texts is None for step in steps):
        return Judgement("unexplained", "no event of the log makes this row: somebody inserted it")
    if held is None:
        made = _last_begin(steps)
        return Judgement("missing", f"{made} made the row; it was deleted, or never written", made)
    last = max((n for n, step in enumerate(steps) if step.texts == held), default=None)
    if last is not None:
        event = next(s.event for s in steps[last + 1 :] if s.texts != held)
        left = sum(not step.refused for step in steps[last + 1 :])
        return Judgement(
            "behind",
            f"the row is as {steps[last].event} left it: {event} and what follows, "
            f"{left} event{'s' * (left > 1)}, are not in it",
            event,
            [] if expected is None else _columns(table, steps, held, expected),
        )
    if expected is None:
        ended = next(s.event for s in reversed(steps) if not s.refused)
        return Judgement(
            "edited",
            f"{ended} ended the row, and no event left it so: somebody put it there",
            ended,
        )
    columns = _columns(table, steps, held, expected)
    since = [c.differs_since for c in columns if c.differs_since is not None]
    first = min(since, key=lambda event: event.offset, default=None)
    names = ", ".join(column.column for column in columns)
    return Judgement(
        "edited", f"no event left the row so: somebody changed {names}", first, columns
    )


_SAME: dict[Verdict, str] = {
    "equal": "the row is what the log says",
    "absent": "neither the log nor the witness has such a row",
}


def _last_begin(steps: Sequence[Step]) -> LogEvent:
    """Return the event that made the row that there is at the end."""
    begin = len(steps) - 1
    while begin > 0 and steps[begin - 1].texts is not None:
        begin -= 1
    return steps[begin].event


def _columns(
    table: Table, steps: Sequence[Step], held: tuple[str, ...], expected: tuple[str, ...]
) -> list[ColumnHistory]:
    found = []
    for place, column in enumerate(table.columns):
        if held[place] == expected[place]:
            continue
        agreed = None
        since: LogEvent | None = None
        for step in steps:
            if step.texts is not None and step.texts[place] == held[place]:
                agreed, since = step.event, None
            elif since is None:
                since = step.event
        found.append(ColumnHistory(column, held[place], expected[place], agreed, since))
    return found
