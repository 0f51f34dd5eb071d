"""Reads from the tables that show what they must: the tables are waited for before they are read.

The tables follow memory by the way through the outbox, Kafka and the projector.
"""

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

from eventlog.reads.question import Question
from eventlog.receipts import Receipt
from schemas.domain import Kind
from schemas.lane import partition_of

if TYPE_CHECKING:
    from eventlog.reads.tables import Tables


class Positions(Protocol):
    """What a shim knows of how far its events are."""

    def recorded_position(self) -> int:
        """Return the newest row given to an event."""

    def applied_through(
        self,
        row: int,
        partitions: Iterable[int],
        timeout: float | None = None,
        streams: str = "",
    ) -> None:
        """Return once all that these partitions had up to a row is in the tables.

        `streams` is the stream that it is about, or a kind's streams, as `trade/`.
        Raises: ReceiptTimeout after `timeout` seconds; AppliedParked where one of them is parked.
        """


class ConsistentReads:
    """One kind's reads from the tables.

    `after`: the tables hold at least this receipt's event. Else `wait`: they hold all that this
    shim had recorded, in the partitions asked for, when the read began: a read behind a write sees
    it, as in memory. With neither they are read as they are.
    Raises, every method: ReceiptTimeout where the tables do not get there in time, ReadUnavailable,
    Capability without a control connection, OutcomeUnknown where the outbox failed; AppliedParked
    where `wait` or `after` ask for what a parked event keeps out of the tables.
    """

    def __init__(
        self,
        kind: Kind,
        positions: Positions,
        partitions: int,
        tables: "Callable[[], Tables]",
        timeout: float,
    ) -> None:
        self.kind = kind
        self._positions = positions
        self._partitions = partitions
        self._tables = tables
        self._timeout = timeout

    def entities(
        self,
        question: Question,
        *,
        after: Receipt | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the entities that a question asks for, in the order of their keys."""
        deadline = self._deadline(timeout)
        tables = self._tables()
        self._await(self._concerned(question), after, wait, deadline)
        return tables.entities(question, deadline)

    def count(
        self, *, after: Receipt | None = None, wait: bool = True, timeout: float | None = None
    ) -> int:
        """Return how many entities the tables hold."""
        deadline = self._deadline(timeout)
        tables = self._tables()
        self._await(self._all_streams, after, wait, deadline)
        return tables.count(deadline)

    def follow(self, timeout: float | None = None) -> None:
        """Return once the tables hold all that this shim had recorded when this was called."""
        self._await(self._all_streams, None, True, self._deadline(timeout))

    def _deadline(self, timeout: float | None) -> float:
        return time.monotonic() + (self._timeout if timeout is None else timeout)

    @property
    def _all_streams(self) -> tuple[str, Iterable[int]]:
        return f"{self.kind.name}/", range(self._partitions)

    def _concerned(self, question: Question) -> tuple[str, Iterable[int]]:
        """Return the streams whose events can change the answer, and their partitions."""
        kind, equal = self.kind, question.equal
        if not equal.keys() >= set(kind.stream):
            return self._all_streams
        stream = f"{kind.name}/" + "/".join(str(equal[name]) for name in kind.stream)
        return stream, (partition_of(stream, self._partitions),)

    def _await(
        self,
        concerned: tuple[str, Iterable[int]],
        after: Receipt | None,
        wait: bool,
        deadline: float,
    ) -> None:
        left = deadline - time.monotonic()
        if after is not None:
            after.applied(left)
        elif wait:
            streams, partitions = concerned
            row = self._positions.recorded_position()
            self._positions.applied_through(row, partitions, left, streams)
