"""A fold over several kinds that must come out together, as a `Reconcile` rule begins it."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol


class Unbalanced(NamedTuple):
    """Where a reconciliation fails: the entity by kind and key, what it says, what it should."""

    kind: str
    key: str
    observed: str
    expected: str


class Reconciliation(Protocol):
    """A fold over several kinds; its memory is bounded, however much it takes."""

    def step(self, kind: str, key: str, before: Any, event: Any, entity: Any) -> None:
        """Take one event; the entity is None where it ends."""

    def entity(self, kind: str, key: str, entity: Any) -> None:
        """Take one entity as it is, where there are no events of any kind."""

    def finish(self) -> Iterable[Unbalanced]:
        """Give what does not come out; called once, after which the fold is closed."""

    @property
    def skipped(self) -> list[str]:
        """What could not be judged, and why; asked after `finish`."""
