"""Record batches as Kafka gives them, taken apart without a word more than a replay needs.

aiokafka's consumer makes an object of eleven fields of each record, which costs more than decoding
the event in it. Here a record is what the batch's own iterator gives: an offset and a value.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from projector.log import BrokerUnreachable, OffsetsGone
from schemas.kafka_client import client_options, reach_remedy
from schemas.settings import Settings

_WAIT_MS = 500
_ASK_AGAIN_S = 0.1
_ALL_RECORDS = 0  # of transactions, too, that were not committed: no relay has any


class Stored(Protocol):
    """A record within its batch."""

    @property
    def offset(self) -> int:
        """Within the partition."""

    @property
    def value(self) -> bytes | None:
        """The event's bytes."""


class Batches(Protocol):
    """Where a rebuild's records come from."""

    async def fetch(self, offsets: Mapping[int, int]) -> dict[int, Sequence[Stored]]:
        """Return the next records of partitions from these offsets on, at least of one of them."""


class RecordBatches:
    """Fetches whole batches of a topic's partitions from their leaders; positions are the caller's.

    Use `async with`.
    """

    def __init__(self, settings: Settings, topic: str, fetch_bytes: int) -> None:
        self._settings = settings
        self._topic = topic
        self._fetch_bytes = fetch_bytes
        self._timeout_s = settings.kafka.timeout_ms / 1000
        self._client = AIOKafkaClient(
            **client_options(settings), request_timeout_ms=settings.kafka.timeout_ms
        )
        self._last: list[int] = []
        """Partitions that were given nothing for the longest: they are asked for first."""

    async def __aenter__(self) -> "RecordBatches":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.bootstrap()
                await self._client.set_topics([self._topic])
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            await self._client.close()
            raise self._unreachable(error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def fetch(self, offsets: Mapping[int, int]) -> dict[int, Sequence[Stored]]:
        """Return the next records of partitions from these offsets on, at least of one of them.

        Raises: OffsetsGone; BrokerUnreachable where no broker said anything in time.
        """
        try:
            async with asyncio.timeout(self._timeout_s) as deadline:
                while True:
                    answers, found = await self._fetch_once(offsets), dict[int, Sequence[Stored]]()
                    for partition, answer in answers.items():
                        records = self._taken_apart(partition, answer, offsets[partition])
                        if records:
                            found[partition] = records
                    if found:
                        self._last = [p for p in offsets if p not in found]
                        return found
                    if answers:  # brokers answer, the log ends here for now
                        deadline.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    async def _fetch_once(self, offsets: Mapping[int, int]) -> dict[int, bytes]:
        """Ask each leader once; return what there is, by partition."""
        by_leader: dict[int, list[int]] = {}
        for partition in sorted(offsets, key=lambda p: p not in self._last):
            leader = self._client.cluster.leader_for_partition(
                TopicPartition(self._topic, partition)
            )
            by_leader.setdefault(-1 if leader is None else leader, []).append(partition)
        if -1 in by_leader:
            await self._look_for_leaders()
            del by_leader[-1]
        answers: dict[int, bytes] = {}
        for response in await asyncio.gather(
            *(self._ask(leader, mine, offsets) for leader, mine in by_leader.items())
        ):
            for _, parts in response.topics:
                for partition, code, _, *more in parts:
                    error = kafka_errors.for_code(code)
                    if error is kafka_errors.NoError:
                        answers[partition] = more[-1]
                    elif error is kafka_errors.OffsetOutOfRangeError:
                        raise OffsetsGone(
                            f"Kafka no longer holds offset {offsets[partition]}: the log was cut "
                            "under the replay",
                            self._topic,
                            partition,
                        )
                    elif error.retriable or error.invalid_metadata:
                        await self._look_for_leaders()
                    else:
                        raise error(f"{self._topic}/{partition}")
        return answers

    async def _ask(
        self, leader: int, partitions: Collection[int], offsets: Mapping[int, int]
    ) -> Any:
        wanted = [(p, offsets[p], self._fetch_bytes) for p in partitions]
        return await self._client.send(
            leader,
            FetchRequest(
                _WAIT_MS, 1, self._fetch_bytes * len(wanted), _ALL_RECORDS,
                [(self._topic, wanted)], rack_id="",
            ),
        )  # fmt: skip

    async def _look_for_leaders(self) -> None:
        await asyncio.sleep(_ASK_AGAIN_S)
        await self._client.force_metadata_update()

    def _taken_apart(self, partition: int, answer: bytes, offset: int) -> Sequence[Stored]:
        """Return an answer's records from an offset on; a batch at its end may be cut, and is left.

        Raises: CorruptRecordException.
        """
        found: list[Stored] = []
        batches = MemoryRecords(answer)
        while batches.has_next():
            batch = batches.next_batch()
            if not batch.validate_crc():
                raise kafka_errors.CorruptRecordException(f"{self._topic}/{partition}")
            if batch.is_control_batch:
                continue
            if batch.base_offset >= offset:
                found += batch
            else:
                found += [record for record in batch if record.offset >= offset]
        return found

    def _unreachable(self, error: BaseException) -> BrokerUnreachable:
        cause = str(error) or type(error).__name__
        return BrokerUnreachable(
            f"Kafka gave no record within {self._settings.kafka.timeout_ms} ms: {cause}",
            where=self._settings.kafka.bootstrap or "`kafka.bootstrap` is empty",
            remedy=reach_remedy(self._settings.kafka),
        )
