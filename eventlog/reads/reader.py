"""What an app reads with: one kind, by key, stream, fields or page, on the route now taken."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from eventlog.reads.question import Question, Questions
from eventlog.reads.route import ReadRoute, Route
from eventlog.receipts import Receipt

if TYPE_CHECKING:
    from eventlog.reads.consistent import ConsistentReads
    from eventlog.reads.memory import Memory
    from eventlog.reads.shadow import Shadow


class Reader:
    """Reads entities of one kind. Safe to use from any number of threads; every read blocks.

    An asyncio app calls it by `asyncio.to_thread`.
    Order:   by key, texts by code point, whatever the route.
    Windows: of a kind that keeps its newest entities in rings, memory's answers are a part of the
             tables', which hold all there ever were.
    after:   where the tables answer, they hold at least this receipt's event. Memory holds it.
    wait:    where the tables answer and `after` does not say it, they hold all that this shim had
             recorded when the read began. False reads what is committed, at once.
    timeout: seconds; None for the routing's own.
    Raises:  QuestionInvalid; where the tables answer: ReadUnavailable, ReceiptTimeout, Capability,
             AppliedHeld or AppliedStopped where they do not go on, AppliedParked where an event
             that the read waits for is parked.
    """

    def __init__(
        self,
        memory: "Memory",
        route: ReadRoute | None = None,
        tables: "ConsistentReads | None" = None,
        shadow: "Shadow | None" = None,
    ) -> None:
        """Read on a route; without one from memory, for good."""
        self.kind = memory.kind
        self._questions = Questions(memory.kind)
        self._memory = memory
        self._route = route or ReadRoute()
        self._tables = tables
        self._shadow = shadow
        self._pinned: Route | None = None
        self._after: Receipt | None = None

    @property
    def route(self) -> Route:
        """Which route the next read takes."""
        return self._pinned or self._route.now.route

    def pinned(self, route: Route | None = None, after: Receipt | None = None) -> "Reader":
        """Return a reader whose reads all take one route, the present one where none is named.

        `after` holds for each of its reads.
        """
        reader = copy.copy(self)
        reader._pinned = route or self.route
        reader._after = after
        return reader

    def key_of_text(self, text: str) -> Any:
        """Return the key that a text names, its parts joined by `/`; raises QuestionInvalid."""
        return self._questions.key_of_text(text)

    def get(
        self,
        key: Any,
        *,
        after: Receipt | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> Any:
        """Return the entity of a key, or None; the key as in the store: a value or a tuple."""
        found = self._ask(self._questions.one(key), after, wait, timeout)
        return found[0] if found else None

    def of_stream(
        self,
        stream_key: Any,
        *,
        limit: int | None = None,
        after: Receipt | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the entities of a stream in the order of their keys, the last `limit` of them.

        Trap: of a kind in rings, the tables give all there ever were where no limit is given.
        """
        question = self._questions.of_stream(stream_key, limit)
        return self._ask(question, after, wait, timeout)

    def find(
        self,
        where: Mapping[str, Any] | None = None,
        /,
        *,
        limit: int | None = None,
        after: Receipt | None = None,
        wait: bool = True,
        timeout: float | None = None,
        **equal: Any,
    ) -> list[Any]:
        """Return the entities whose fields have these values, the first `limit` of them.

        `where` is for fields that are named as one of the options is.
        """
        question = self._questions.find({**(where or {}), **equal}, limit)
        return self._ask(question, after, wait, timeout)

    def page(
        self,
        after_key: Any = None,
        limit: int = 100,
        *,
        after: Receipt | None = None,
        wait: bool = True,
        timeout: float | None = None,
    ) -> list[Any]:
        """Return the first `limit` entities that come after a key; None begins at the beginning."""
        return self._ask(self._questions.page(after_key, limit), after, wait, timeout)

    def count(
        self, *, after: Receipt | None = None, wait: bool = True, timeout: float | None = None
    ) -> int:
        """Return how many entities there are. Shadow does not compare it."""
        if self.route == "postgres" and self._tables is not None:
            return self._tables.count(after=after or self._after, wait=wait, timeout=timeout)
        return self._memory.count()

    def _ask(
        self, question: Question, after: Receipt | None, wait: bool, timeout: float | None
    ) -> list[Any]:
        route = self.route
        if route == "postgres" and self._tables is not None:
            return self._tables.entities(
                question, after=after or self._after, wait=wait, timeout=timeout
            )
        found = self._memory.entities(question)
        if route == "shadow" and self._shadow is not None:
            self._shadow.offer(self.kind.name, question, found)
        return found
