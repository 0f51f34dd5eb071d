"""Blocks of the app's own code that change a watched container."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventlog.watched import WatchedStore


class Block:
    """Code that is changing a container, all of it or only what is under these keys.

    `overtaken` where memory was set back meanwhile: what the code made of the state before is void.
    """

    __slots__ = ("before", "keys", "overtaken", "store")

    def __init__(self, store: "WatchedStore", keys: Iterable[Any] | None) -> None:
        self.store = store
        self.overtaken = False
        self.keys = None if keys is None else list(keys)
        content = store.content()
        found = list(content) if self.keys is None else self.keys
        self.before = {key: content[key] for key in found if key in content}

    def covers(self, key: Any) -> bool:
        """Say whether the code may be changing what is under a key."""
        return self.keys is None or key in self.keys
