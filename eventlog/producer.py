"""An idempotent Kafka producer of whole batches, for a sender that resends from its own log.

aiokafka's producer sends one request at a time to a broker, retries by itself, and stops slowly
while brokers are away. This one keeps several requests on the way and retries nothing: after any
error the outcome is unknown, and the producer is thrown away.
Source: docs/decisions/0017-the-relays-own-producer.md
"""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from eventlog.record_batches import RecordBatch

_ALL_IN_SYNC = -1
_SEQUENCES = 2**30
"""A producer's numbers in a lane end at 2**31 - 1; it is replaced long before."""
_UNUSED_MS = 60_000
_ASK_AGAIN_S = 0.02
_REMEMBERED_S = 600.0
"""Kafka forgets a producer that rests for `producer.id.expiration.ms`, a day by default."""


class BatchRefused(kafka_errors.KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """A broker did not take a batch: which, and why."""

    def __init__(self, place: TopicPartition, batch: RecordBatch, error: BaseException) -> None:
        super().__init__(f"{place.topic}/{place.partition}: {error}")
        self.place, self.batch, self.error = place, batch, error
        self.too_large = isinstance(
            error, kafka_errors.MessageSizeTooLargeError | kafka_errors.RecordListTooLargeError
        )


class Producer:
    """One producer id's life, on one connection to each leader.

    A lane's batches stay in order: requests to a broker go out in order on one connection, and
    Kafka refuses a batch behind one that it did not take. That it does only where it knows the
    producer in the partition: so the first batch of a lane is acknowledged before a second is sent,
    again after a long rest, and behind a failure nothing is sent any more.
    """

    def __init__(self, options: Mapping[str, Any], timeout_ms: int) -> None:
        self._timeout_ms = timeout_ms
        self._client = AIOKafkaClient(
            **options, request_timeout_ms=timeout_ms, connections_max_idle_ms=None
        )
        self._connections: dict[int, Any] = {}
        self._leaders: dict[TopicPartition, int] = {}
        self._sequences: dict[TopicPartition, int] = {}
        self._newest: dict[TopicPartition, asyncio.Task[None]] = {}
        self._heard: dict[TopicPartition, float] = {}
        self._producer_id = (-1, -1)
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None

    async def start(self, topics: Sequence[str]) -> None:
        """Find the leaders, and be given an id; bounded by the caller. Raises KafkaError.

        A broker that has just started knows neither at once.
        """
        await self._client.bootstrap()
        await self._client.set_topics(topics)
        while any(self._client.cluster.partitions_for_topic(topic) is None for topic in topics):
            await asyncio.sleep(_ASK_AGAIN_S)
            await self._client.force_metadata_update()
        while not await self._take_id():  # noqa: ASYNC110  (Kafka has nothing to wait for)
            await asyncio.sleep(_ASK_AGAIN_S)

    async def _take_id(self) -> bool:
        answer = await self._client.send(
            self._client.get_random_node(), InitProducerIdRequest(None, _UNUSED_MS)
        )
        try:
            _raise_for(answer.error_code)
        except kafka_errors.KafkaError as error:
            if error.retriable:
                return False
            raise
        self._producer_id = (answer.producer_id, answer.producer_epoch)
        return True

    @property
    def spent(self) -> bool:
        """Whether a lane's numbers run out: time for a new producer."""
        return any(sequence > _SEQUENCES for sequence in self._sequences.values())

    async def send(
        self, lanes: Mapping[TopicPartition, Sequence[RecordBatch]]
    ) -> list["asyncio.Task[None]"]:
        """Send batches, each lane in order; the tasks are done once all replicas in sync have them.

        Raises: KafkaError where a leader is not known or not reached, or something failed before.
        """
        tasks: list[asyncio.Task[None]] = []
        # Kafka takes one batch of a partition in a request, so those behind it go in the next.
        for turn in range(max(map(len, lanes.values()), default=0)):
            by_leader: dict[int, dict[TopicPartition, RecordBatch]] = {}
            for place, batches in lanes.items():
                if turn < len(batches):
                    by_leader.setdefault(self._leader(place), {})[place] = batches[turn]
            for leader, some in by_leader.items():
                connection = await self._connection(leader)
                await self._known(some)
                tasks.append(self._send_one(connection, some))
        return tasks

    async def _known(self, places: Iterable[TopicPartition]) -> None:
        """Return once Kafka knows this producer in these partitions, or nothing is on its way."""
        now = asyncio.get_running_loop().time()
        for place in places:
            newest = self._newest.get(place)
            known = now - self._heard.get(place, -_REMEMBERED_S) < _REMEMBERED_S
            if not known and newest is not None and not newest.done():
                await asyncio.wait({newest})

    async def stop(self) -> None:
        """Close the connections; what is on the way may arrive or not."""
        self._failed = self._failed or kafka_errors.ProducerClosed()
        await self._client.close()
        await asyncio.gather(*self._on_the_way, return_exceptions=True)

    def _leader(self, place: TopicPartition) -> int:
        """Return the broker that leads a partition; one that moves is for the next producer."""
        if place not in self._leaders:
            leader = self._client.cluster.leader_for_partition(place)
            if leader is None or leader < 0:
                raise kafka_errors.LeaderNotAvailableError(f"{place.topic}/{place.partition}")
            self._leaders[place] = int(leader)
        return self._leaders[place]

    async def _connection(self, node: int) -> Any:
        connection = self._connections.get(node)
        # A lost connection is replaced only where nothing could have been lost with it.
        if connection is None or (not connection.connected() and not self._on_the_way):
            connection = await self._client._get_conn(node)
            if connection is None:
                raise kafka_errors.NodeNotReadyError(f"broker {node} is not reached")
            self._connections[node] = connection
        return connection

    def _send_one(
        self, connection: Any, some: dict[TopicPartition, RecordBatch]
    ) -> "asyncio.Task[None]":
        if self._failed is not None:
            raise self._failed
        topics: dict[str, list[tuple[int, bytes]]] = {}
        for place, batch in some.items():
            sequence = self._sequences.get(place, 0)
            sealed = batch.sealed(*self._producer_id, sequence)
            topics.setdefault(place.topic, []).append((place.partition, sealed))
            self._sequences[place] = sequence + batch.count
        request = ProduceRequest(None, _ALL_IN_SYNC, self._timeout_ms, list(topics.items()))
        task = asyncio.create_task(self._answered(connection.send(request), some))
        self._newest.update(dict.fromkeys(some, task))
        self._on_the_way.add(task)
        task.add_done_callback(self._settled)
        return task

    async def _answered(
        self, sent: Coroutine[Any, Any, Any], some: dict[TopicPartition, RecordBatch]
    ) -> None:
        answer = await sent
        for topic, partitions in answer.topics:
            for partition, code, *_ in partitions:
                place = TopicPartition(topic, partition)
                try:
                    _raise_for(code)
                except kafka_errors.KafkaError as error:
                    raise BatchRefused(place, some[place], error) from error
                self._heard[place] = asyncio.get_running_loop().time()

    def _settled(self, task: "asyncio.Task[None]") -> None:
        self._on_the_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = self._failed or error


def _raise_for(code: int) -> None:
    if code:
        raise kafka_errors.for_code(code)()
