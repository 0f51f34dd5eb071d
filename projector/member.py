"""A worker's place in the projection's consumer group: Kafka tells which partitions it has.

For that alone: nothing is fetched and no offset is committed here. A member goes on with what it
has while partitions are shared out anew, and may be told late: the terms of the checkpoints decide
who may commit. The group's protocol is aiokafka's own coordinator, without its consumer.
"""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
    KafkaError,
    for_code,
)
from aiokafka.protocol.admin import DescribeGroupsRequest
from aiokafka.protocol.group import LeaveGroupRequest

from projector.assignment import NOTHING, Assignor, Having
from projector.log import BrokerUnreachable
from projector.member_name import is_dead, member_name
from schemas.errors import FerryError
from schemas.kafka_client import client_options, reach_remedy
from schemas.settings import Settings

METADATA_AGE_MS = 10_000
"""How old what is known of the topic's partitions may be."""
_HEARTBEAT_MS = 300
"""Most time between two signs of life: by their answers a member hears of a new assignment."""
_LEAVE_S = 2.0
_NEVER_MS = 1 << 40  # it has no records to take, so it is never idle


class GroupRefused(FerryError):
    """Kafka does not let the projector into its consumer group."""


class Member(ConsumerRebalanceListener):  # type: ignore[misc]
    """One member; use `async with`, which returns once Kafka's coordinator is found.

    `changed` is set when there is something to `take`.
    """

    def __init__(self, settings: Settings, topic: str, projection: str, number: int) -> None:
        self._settings = settings
        self._topic = topic
        self._group = f"memferry.{topic}.{projection}"
        self._timeout_s = settings.kafka.timeout_ms / 1000
        self._client = AIOKafkaClient(
            **client_options(settings),
            client_id=member_name(number),
            request_timeout_ms=settings.kafka.timeout_ms,
            metadata_max_age_ms=METADATA_AGE_MS,
        )
        self._subscription = SubscriptionState()
        self._subscription.register_fetch_waiters([])
        self._coordinator: Any = None
        self._failing: asyncio.Task[None] | None = None
        self._given: frozenset[int] | None = None
        self._having = NOTHING
        self.changed = asyncio.Event()
        self.partitions_of_topic = 0
        """As Kafka said last; 0: it has not yet."""

    async def __aenter__(self) -> "Member":
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._client.bootstrap()
                self._make_coordinator()
                await self._coordinator.ensure_coordinator_known()
                await self._remove_dead()
        except (KafkaError, TimeoutError, OSError) as error:
            await self._close()
            raise self._explained(error) from error
        except BaseException:
            await self._close()
            raise
        self._client.cluster.add_listener(self._counted)
        self._failing = asyncio.create_task(self._until_failure())
        self._failing.add_done_callback(lambda _: self.changed.set())
        self._client.set_topics([self._topic])
        self._subscription.subscribe({self._topic}, self)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    def take(self) -> frozenset[int] | None:
        """Return the partitions that this member has; None where it waits to be told.

        Raises: GroupRefused, BrokerUnreachable where it is no member any more.
        """
        self.changed.clear()
        if self._failing is not None and self._failing.done():
            error = self._failing.exception()
            raise self._explained(error or KafkaError("the member has left")) from error
        return self._given

    def rejoin(self) -> None:
        """Have the partitions shared out anew: somebody else has one that this member had."""
        self._given = None
        self._coordinator.request_rejoin()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Nothing to do: the work goes on until the new assignment says what is lost."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """Note what this member has now."""
        given = frozenset(place.partition for place in assigned)
        if given != self._given:
            self.changed.set()
        self._given = given
        self._having = Having(self._coordinator.generation, tuple(sorted(given)))

    def _make_coordinator(self) -> None:
        session_ms = self._settings.projector.session_timeout_ms
        self._coordinator = GroupCoordinator(
            self._client,
            self._subscription,
            group_id=self._group,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=min(_HEARTBEAT_MS, session_ms // 3),
            enable_auto_commit=False,
            assignors=(Assignor(lambda: self._having),),
            max_poll_interval_ms=_NEVER_MS,
            rebalance_timeout_ms=session_ms,
        )

    async def _remove_dead(self) -> None:
        """Take out of the group those whose processes were killed here: nobody waits for them."""
        node = self._coordinator.coordinator_id
        answer = await self._client.send(node, DescribeGroupsRequest([self._group]))
        (group,) = answer.groups
        if for_code(group[0]) is GroupAuthorizationFailedError:
            raise GroupAuthorizationFailedError(self._group)
        for member_id, client_id, *_ in group[5]:
            if is_dead(client_id):
                await self._client.send(node, LeaveGroupRequest(self._group, member_id))

    async def _until_failure(self) -> None:
        while True:
            await self._subscription.wait_for_assignment()

    def _counted(self, cluster: Any) -> None:
        found = len(cluster.partitions_for_topic(self._topic) or ())
        before = self.partitions_of_topic
        if found and found != before:
            self.partitions_of_topic = found
            if before:
                self.changed.set()

    async def _close(self) -> None:
        if self._failing is not None:
            self._failing.cancel()
            await asyncio.gather(self._failing, return_exceptions=True)
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            if self._coordinator is not None:
                await self._leave()
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await asyncio.wait_for(self._client.close(), self._timeout_s)

    async def _leave(self) -> None:
        """Leave the group at once, in the middle of being let in too: others wait for no answer."""
        coordinator = self._coordinator
        member_id, node = coordinator.member_id, coordinator.coordinator_id
        coordinator._coordination_task.cancel()
        await asyncio.gather(coordinator._coordination_task, return_exceptions=True)
        await coordinator._stop_heartbeat_task()
        await coordinator._stop_commit_offsets_refresh_task()
        if member_id and node is not None:
            request = LeaveGroupRequest(self._group, member_id)
            await asyncio.wait_for(self._client.send(node, request), _LEAVE_S)

    def _explained(self, error: BaseException) -> FerryError:
        if isinstance(error, GroupAuthorizationFailedError):
            return GroupRefused(
                f"Kafka refuses the consumer group {self._group!r}",
                where=self._settings.kafka.bootstrap,
                remedy="allow the projector's user READ and DESCRIBE on groups whose names begin "
                "with `memferry.`",
            )
        if isinstance(error, InvalidSessionTimeoutError | InconsistentGroupProtocolError):
            return GroupRefused(
                f"Kafka refuses a member of the consumer group {self._group!r}: {error}",
                where="`projector.session_timeout_ms`"
                if isinstance(error, InvalidSessionTimeoutError)
                else f"group {self._group}",
                remedy="the brokers' group.min.session.timeout.ms and group.max.session.timeout.ms "
                "say what they take"
                if isinstance(error, InvalidSessionTimeoutError)
                else "stop what else is a member of it: the group is the projector's alone",
            )
        return BrokerUnreachable(
            f"the consumer group cannot be reached: {str(error) or type(error).__name__}",
            where=self._settings.kafka.bootstrap,
            remedy=reach_remedy(self._settings.kafka),
        )
