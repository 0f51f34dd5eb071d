"""The first witness: the log alone, folded by the kinds' `evolve`, with no handler and no table."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from projector.lanes import LaneBook
from projector.log import Log
from schemas.control import CONTROL_PREFIX, BarrierPlaced, decode_control
from schemas.digest import row_digest
from schemas.domain import Domain, Kind
from schemas.errors import FerryError
from schemas.lane import LaneCheck
from schemas.mend import Mend
from schemas.tables import key_text

_pack = msgspec.msgpack.encode
_FETCH = 10_000
_WAIT_MS = 200


class RowWitness(NamedTuple):
    """What one witness says of one row."""

    source: str
    stream: str
    digest: int


Rows = dict[str, dict[str, RowWitness]]
"""table → key as text → witness, rows of a stream in the order of the log."""


class _Entity:
    """One entity's state, packed to a fraction of its size, and its rows' digests once asked."""

    __slots__ = ("_state", "_witnesses", "kind", "source", "stream")

    def __init__(self, kind: Kind, source: str, stream: str, state: Any) -> None:
        self.kind = kind
        self.source = source
        self.stream = stream
        self._state = _pack(state)
        self._witnesses: tuple[tuple[str, str, RowWitness], ...] | None = None

    @property
    def state(self) -> Any:
        """The entity as `evolve` takes and returns it."""
        return msgspec.msgpack.decode(self._state, type=self.kind.entity)

    def witnesses(self) -> tuple[tuple[str, str, RowWitness], ...]:
        """Return (table, key, witness) of each of the entity's rows."""
        if self._witnesses is None:
            self._witnesses = tuple(
                (
                    table.name,
                    key_text(table.key_of(row)),
                    RowWitness(self.source, self.stream, row_digest(table.name, row)),
                )
                for table, row in self.kind.rows(self.state)
            )
        return self._witnesses


class FoldFailed(FerryError):
    """The log cannot be folded: an event does not follow from the ones before it."""


class LogSilent(FerryError):
    """Kafka holds records that it does not give."""


class LogFold:
    """The state that the log gives, partition by partition, from its beginning."""

    def __init__(
        self, domain: Domain, generation: int, sources: set[str], mends: Iterable[Mend] = ()
    ) -> None:
        self._domain = domain
        self._lanes = LaneBook(generation, {}, sources, mends)
        self._decoders = {
            name: (
                reader.kind,
                reader.read,
                reader.kind.key_getter(),
                reader.kind.stream_getter(),
            )
            for name, reader in domain.readers.items()
        }
        self._entities: dict[int, dict[tuple[str, Hashable], _Entity]] = {}
        self.offsets: dict[int, int] = {}
        self.events = 0
        self.on_barrier: Callable[[str, int], None] = lambda barrier, partition: None
        self.on_failure: Callable[[str, FoldFailed], object] = _raise
        """Told of an event of a stream that does not fold: the stream's rows stay as they were."""

    @property
    def duplicates(self) -> int:
        """Records that were in the log a second time."""
        return self._lanes.duplicates

    async def read(
        self,
        log: Log,
        partitions: Iterable[int],
        done: Callable[[int], bool],
        patience_s: float = 60.0,
    ) -> None:
        """Fold partitions onwards, each until `done(partition)` says so, asked before every record.

        Raises: LaneBroken, RecordRefused, FoldFailed, naming the place; LogSilent where something
                is still to be read and the log gave no record for `patience_s`.
        """
        heard = time.monotonic()
        todo = {p for p in partitions if not done(p)}
        await log.start_at({p: self.offsets.get(p, 0) for p in todo})
        while todo:
            found = await log.fetch(_FETCH, _WAIT_MS)
            now = time.monotonic()
            if found:
                heard = now
            elif now - heard > patience_s:
                raise LogSilent(
                    f"the log gave nothing for {patience_s} s",
                    where=f"topic {log.topic}, partitions {sorted(todo)}",
                    remedy="look at Kafka, and audit again",
                )
            for partition, records in found.items():
                for record in records:
                    if done(partition):
                        break
                    self._fold(record)
                    self.offsets[partition] = record.offset + 1
            for partition in [p for p in todo if done(p)]:
                todo.discard(partition)
                log.leave(partition)

    async def read_to(self, log: Log, until: Mapping[int, int]) -> None:
        """Fold each partition up to its offset in `until`, exclusive."""
        await self.read(log, until, lambda p: self.offsets.get(p, 0) >= until[p])

    def _fold(self, record: Any) -> None:
        admitted = self._lanes.admit(record)
        if admitted is None:
            return
        event, check = admitted
        self.events += 1
        if event.type.startswith(CONTROL_PREFIX):
            try:
                control = decode_control(event.type, event.data)
            except (KeyError, msgspec.MsgspecError) as error:
                raise _failed(error, check, record) from error
            if isinstance(control, BarrierPlaced):
                self.on_barrier(control.barrier, record.partition)
            return
        try:
            kind, decode, key_of, stream_of = self._decoders[event.type]
            decoded = decode(event.data)
            entities = self._entities.setdefault(record.partition, {})
            place = (kind.name, key_of(decoded))
            present = entities.get(place)
            entity = kind.evolve(present.state if present else None, decoded)
        except Exception as error:  # whatever the domain's code raises, the place is what counts
            failed = _failed(error, check, record)
            failed.__cause__ = error
            self.on_failure(event.subject, failed)
            return
        if entity is None:
            entities.pop(place, None)
        else:
            entities[place] = _Entity(kind, event.source, stream_of(decoded), entity)

    def rows(self, partition: int) -> Rows:
        """Return the rows that the tables must hold for a partition's streams, at this point."""
        found: Rows = {name: {} for name in self._domain.tables}
        for entity in self._entities.get(partition, {}).values():
            for table, key, witness in entity.witnesses():
                found[table][key] = witness
        return found


def _raise(_: str, failed: FoldFailed) -> None:
    raise failed


def _failed(error: Exception, check: LaneCheck, record: Any) -> FoldFailed:
    return FoldFailed(
        f"the log does not fold: {getattr(error, 'what', None) or repr(error)}",
        where=f"lane {check.lane}, seq {check.head.seq}, partition {record.partition}, "
        f"offset {record.offset}",
        remedy="audit with the domain that wrote the log",
    )
