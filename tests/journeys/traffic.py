"""What goes on over HTTP while reads move: orders, and reads of all five kinds."""

from collections import Counter
from contextlib import ExitStack

from compose.demo.client import Client
from tests.fences import AROUND_S, Fence
from tests.journeys.readers import KINDS, Reader

_CLIENTS = 2
_READERS = 2


class Traffic:
    """Clients of one app, from the beginning of a `with` to its end."""

    def __init__(self, url: str) -> None:
        self._clients = [Client(url) for _ in range(_CLIENTS)]
        self._readers = [Reader(url) for _ in range(_READERS)]
        self._all: list[Client | Reader] = [*self._clients, *self._readers]
        self._open = ExitStack()

    def __enter__(self) -> "Traffic":
        for each in self._all:
            self._open.enter_context(each)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def errors(self) -> list[str]:
        """Whatever any of them saw go wrong."""
        return [error for each in self._all for error in each.errors]

    @property
    def orders(self) -> int:
        """Orders that were acknowledged."""
        return sum(len(client.writes) for client in self._clients)

    @property
    def reads(self) -> Counter[str]:
        """Reads by the route that answered."""
        return sum((each.reads for each in self._all), Counter[str]())

    def fewest(self, route: str) -> int:
        """Return how often a route answered for the kind that it answered for least."""
        kinds = sum((each.kinds for each in self._readers), Counter[tuple[str, str]]())
        return min(kinds[kind, route] for kind in KINDS)

    def longest_ms(self, fence: Fence) -> float:
        """Return the longest that an order waited around a fence."""
        ended = fence.ended + AROUND_S
        return max(client.longest_ms(fence.asked, ended) for client in self._clients)

    def longest_of_all_ms(self) -> float:
        """Return the longest that any order waited."""
        return max(client.longest_ms(0, float("inf")) for client in self._clients)
