"""The log as the read side needs it: partitions read from given offsets, nothing ever reset."""

import asyncio
import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import ConsumerRecord

from schemas.errors import FerryError
from schemas.kafka_client import client_options, reach_remedy
from schemas.settings import Settings

NO_TAILS: Mapping[int, str] = {}
Found = dict[int, Sequence["ConsumerRecord[Any, Any]"]]
"""Records by partition."""


class BrokerUnreachable(FerryError):
    """No broker answered within the deadline."""


class TopicMissing(FerryError):
    """Kafka has no such topic."""


class LogChanged(FerryError):
    """The topic is not the one that was applied: its partition must not be gone on from."""

    def __init__(self, what: str, topic: str, partition: int) -> None:
        self.partition = partition
        super().__init__(
            what,
            where=f"topic {topic}, partition {partition}",
            remedy="the topic was truncated, recreated or replaced: do not go on from it; "
            "restore the topic, or begin a new `topic` and `projection`",
        )


class OffsetsGone(LogChanged):
    """The topic no longer holds, or does not yet hold, the offset to go on from."""


class LogReplaced(LogChanged):
    """Another record stands where the last applied one stood."""


class Log:
    """One consumer of one topic, outside any consumer group: positions are PostgreSQL's.

    Use `async with`. aiokafka's own defaults would lose events here: `latest` skips, auto commit
    runs ahead of the tables, and iteration swallows an oversized record; so none of them is used.
    """

    def __init__(self, settings: Settings, topic: str) -> None:
        self._settings = settings
        self.topic = topic
        self._timeout_s = settings.kafka.timeout_ms / 1000
        self._consumer = AIOKafkaConsumer(
            **client_options(settings),
            auto_offset_reset="none",
            enable_auto_commit=False,
            max_partition_fetch_bytes=settings.projector.fetch_bytes,
            request_timeout_ms=settings.kafka.timeout_ms,
            fetch_max_wait_ms=100,
        )
        self._left: Found = {}
        self.partitions = 0

    async def __aenter__(self) -> "Log":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._consumer.start()
                metadata = await self._consumer._client.fetch_all_metadata()
                found = metadata.partitions_for_topic(self.topic)
                if found:  # its leaders are known then, and no question waits for a retry
                    await self._consumer._client.add_topic(self.topic)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._stop()
            raise self._unreachable(error) from error
        if not found:
            await self._stop()
            raise TopicMissing(
                f"Kafka has no topic {self.topic!r}",
                where=self._settings.kafka.bootstrap,
                remedy="start the app once (the shim makes its topic), or correct `topic`",
            )
        self.partitions = len(found)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        try:
            await asyncio.wait_for(self._consumer.stop(), self._timeout_s)
        except (KafkaError, TimeoutError, OSError):
            return  # the consumer holds nothing that matters: positions are PostgreSQL's

    async def bounds(self) -> dict[int, tuple[int, int]]:
        """Return for each partition its first offset and the one behind its last record."""
        places = [TopicPartition(self.topic, p) for p in range(self.partitions)]
        try:
            async with asyncio.timeout(self._timeout_s):
                starts = await self._consumer.beginning_offsets(places)
                ends = await self._consumer.end_offsets(places)
        except (KafkaError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return {place.partition: (starts[place], ends[place]) for place in places}

    async def at_time(self, time_ms: int) -> dict[int, int]:
        """Return for each partition the first offset that Kafka stamped with a time or later.

        Units: milliseconds since 1970. Where nothing is so late, it is the partition's end. The
        stamp is of the sending, not of the recording.
        """
        places = {TopicPartition(self.topic, p): time_ms for p in range(self.partitions)}
        try:
            async with asyncio.timeout(self._timeout_s):
                ends = await self._consumer.end_offsets(list(places))
                found = await self._consumer.offsets_for_times(places)
        except (KafkaError, TimeoutError) as error:
            raise self._unreachable(error) from error
        return {
            place.partition: found[place].offset if found.get(place) else ends[place]
            for place in places
        }

    async def start_at(
        self,
        offsets: Mapping[int, int],
        tails: Mapping[int, str] = NO_TAILS,
        partitions: Collection[int] | None = None,
    ) -> None:
        """Read these partitions from these offsets.

        `tails` are the SHA-256, in hex, of the records just below some of the offsets. Where
        retention has removed such a record nothing is compared: the lanes prove the next one.
        Where `partitions` are given, only those are read; the others are looked at all the same,
        for a topic that was replaced shows it in any of them.
        Raises: OffsetsGone where a partition does not hold its offset: it is never reset;
                LogReplaced where another record stands below it; BrokerUnreachable.
        """
        bounds = await self.bounds()
        for partition, offset in offsets.items():
            start, end = bounds[partition]
            if not start <= offset <= end:
                raise OffsetsGone(
                    f"the checkpoint is at offset {offset}, the partition holds {start} to {end}",
                    self.topic,
                    partition,
                )
        self._left.clear()
        self._consumer.assign([TopicPartition(self.topic, p) for p in offsets])
        await self._compare(
            {p: (offsets[p] - 1, tail) for p, tail in tails.items() if offsets[p] > bounds[p][0]}
        )
        mine = offsets.keys() if partitions is None else partitions
        if len(mine) < len(offsets):
            self._consumer.assign([TopicPartition(self.topic, p) for p in mine])
        for partition in mine:
            self._consumer.seek(TopicPartition(self.topic, partition), offsets[partition])

    async def _compare(self, expected: Mapping[int, tuple[int, str]]) -> None:
        """Read the last applied record of each partition again: offset and digest."""
        waiting = {TopicPartition(self.topic, p): e for p, e in expected.items()}
        for place, (offset, _) in waiting.items():
            self._consumer.seek(place, offset)
        try:
            async with asyncio.timeout(self._timeout_s):
                while waiting:
                    found = await self._consumer.getmany(*waiting, timeout_ms=100)
                    for place in [place for place, records in found.items() if records]:
                        self._require_same(found[place][0], *waiting.pop(place))
        except (KafkaError, TimeoutError) as error:
            raise self._unreachable(error) from error

    def _require_same(self, record: "ConsumerRecord[Any, Any]", offset: int, tail: str) -> None:
        digest = hashlib.sha256(record.value or b"").hexdigest()
        if (record.offset, digest) != (offset, tail):
            raise LogReplaced(
                f"the record at offset {record.offset} has SHA-256 {digest[:12]}…, the one that "
                f"was applied at offset {offset} had {tail[:12]}…",
                self.topic,
                record.partition,
            )

    def seek(self, partition: int, offset: int) -> None:
        """Read a partition from another offset on."""
        self._left.pop(partition, None)
        self._consumer.seek(TopicPartition(self.topic, partition), offset)

    def end(self, partition: int) -> int | None:
        """Return the offset behind a partition's last record, as Kafka said with the last fetch.

        None where it has not said so yet.
        """
        place = TopicPartition(self.topic, partition)
        if place not in self._consumer.assignment():
            return None
        end: int | None = self._consumer.highwater(place)
        return end

    def leave(self, partition: int) -> None:
        """Read a partition no more."""
        self._left.pop(partition, None)
        self._consumer.pause(TopicPartition(self.topic, partition))

    def limit(self, fetch_bytes: int) -> None:
        """Have one fetch from one partition hold no more than so many bytes, an event aside."""
        self._consumer._fetcher._max_partition_fetch_bytes = fetch_bytes

    async def fetch(self, limit: int, wait_ms: int, most_bytes: int | None = None) -> Found:
        """Return the next records by partition, at most `limit`, after at most `wait_ms`.

        Their values have `most_bytes` together at most, but one record is always given.
        """
        found, self._left = self._left, {}
        if not found:
            found = await self._fetch(limit, wait_ms)
        if most_bytes is not None:
            found, self._left = cut(found, most_bytes)
        return found

    async def _fetch(self, limit: int, wait_ms: int) -> Found:
        try:
            found = await self._consumer.getmany(timeout_ms=wait_ms, max_records=limit)
        except OffsetOutOfRangeError as error:
            places: dict[TopicPartition, int] = error.args[0]
            place, offset = next(iter(places.items()))
            raise OffsetsGone(
                f"Kafka no longer holds offset {offset}: the log was cut under the projector",
                self.topic,
                place.partition,
            ) from error
        return {place.partition: records for place, records in found.items() if records}

    def _unreachable(self, error: BaseException) -> BrokerUnreachable:
        cause = str(error) or type(error).__name__
        return BrokerUnreachable(
            f"Kafka did not answer within {self._settings.kafka.timeout_ms} ms: {cause}",
            where=self._settings.kafka.bootstrap or "`kafka.bootstrap` is empty",
            remedy=reach_remedy(self._settings.kafka),
        )


def cut(found: Found, most_bytes: int) -> tuple[Found, Found]:
    """Return what fits into so many bytes, one record at least, and what is left."""
    taken: Found = {}
    left: Found = {}
    free = most_bytes
    for partition, records in found.items():
        sizes = [len(record.value or b"") for record in records]
        if not left and sum(sizes) <= free:
            taken[partition] = records
            free -= sum(sizes)
            continue
        count = 0
        while not left and count < len(sizes) and (sizes[count] <= free or not (taken or count)):
            free -= sizes[count]
            count += 1
        if count:
            taken[partition] = records[:count]
        left[partition] = records[count:]
    return taken, {partition: records for partition, records in left.items() if records}
