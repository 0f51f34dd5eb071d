"""Commands by id: the same command recorded twice has the receipts of the first time."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

from eventlog.outbox.contract import Command, KeptEvent, Outbox
from eventlog.receipts import Promises, Receipt
from schemas.envelope import Context
from schemas.errors import FerryError

RECENT = 10_000
"""Commands kept in memory at least while they are not durable, and at most afterwards."""


class CommandDiffers(FerryError):
    """A command's id was used before, for other events; memory has not changed."""


class CommandIds:
    """Which commands were recorded and count; asked and told under the shim's lock.

    Recent ones are in memory. Older ones are found by the outbox's index, which is asked only where
    it may hold some.
    """

    def __init__(
        self,
        outbox: Outbox,
        promises: Promises,
        is_void: Callable[[int, int, str], bool] = lambda partition, seq, stream: False,
        recent: int = RECENT,
    ) -> None:
        self._is_void = is_void
        self._outbox = outbox
        self._promises = promises
        self._limit = recent
        self._recent: OrderedDict[str, tuple[bytes, Sequence[Receipt]]] = OrderedDict()
        self._older = outbox.holds_commands()

    def first(self, command: Command) -> list[Receipt] | None:
        """Return the receipts of the first time, None where this is it; raises CommandDiffers."""
        known = self._recent.get(command.id)
        if known is None and self._older:
            kept = self._outbox.command(command.id)
            if kept is not None:
                known = (kept.content, [self._receipt(event) for event in kept.events])
        if known is None:
            return None
        content, receipts = known
        if all(self._is_void(r.partition, r.seq, r.stream) for r in receipts):
            command.again = True  # it was rolled back: what its client sends again is new
            return None
        if content != command.content:
            raise CommandDiffers(
                f"command {command.id!r} was recorded before with other content",
                where=f"its first event: {receipts[0].event_id}, stream {receipts[0].stream}",
                remedy="give every command an id of its own; repeat one with the same events only",
            )
        return list(receipts)

    def keep(self, command: Command, receipts: Sequence[Receipt]) -> None:
        """Note that a command records these events, which are queued next."""
        command.events = receipts
        recent = self._recent
        recent[command.id] = (command.content, receipts)
        if len(recent) > self._limit:
            self._forget()

    def _forget(self) -> None:
        """Leave the oldest to the outbox; what is not durable is found nowhere else."""
        durable = self._promises.durable.value
        while len(self._recent) > self._limit:
            oldest = next(iter(self._recent.values()))[1]
            if not 0 < oldest[-1].row <= durable:
                return
            self._recent.popitem(last=False)
            self._older = True

    def _receipt(self, event: KeptEvent) -> Receipt:
        receipt = Receipt(self._promises, event.event_id, event.partition, event.stream, b"", b"")
        receipt.row = event.row
        receipt.seq = event.seq
        return receipt


def command_of(context: Context | None, events: Sequence[tuple[str, bytes]]) -> Command | None:
    """Return the command that a context names, for events of these types with this data."""
    if context is None or not context.commandid or not events:
        return None
    content = hashlib.sha256()
    for event_type, data in events:
        content.update(b"%b %d " % (event_type.encode(), len(data)))
        content.update(data)
    return Command(context.commandid, content.digest())
