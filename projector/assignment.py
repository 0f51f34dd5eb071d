"""Which member of a consumer group gets which partitions: shared out evenly, moved seldom.

The members tell the group's leader what they have; it lets each keep its share of that. So a
worker that comes or goes costs the others nothing but what they must give or take.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_VERSION = 0


class Having(NamedTuple):
    """What a member was given in which generation of the group; -1: in none."""

    generation: int
    partitions: tuple[int, ...]


NOTHING = Having(-1, ())


def shared_out(
    partitions: Collection[int], members: Mapping[str, Having]
) -> dict[str, tuple[int, ...]]:
    """Return each member's partitions: numbers that differ by one at most.

    Where two members have one partition, the later generation keeps it: the other is a member that
    was given up meanwhile.
    """
    latest = sorted(members, key=lambda name: (-members[name].generation, name))
    given: dict[str, list[int]] = {name: [] for name in latest}
    free = set(partitions)
    share, more = divmod(len(partitions), len(members)) if members else (0, 0)
    # Whoever has most keeps most: one more than the share may stay where it is.
    for name in sorted(latest, key=lambda name: -len(members[name].partitions)):
        quota = share + (1 if more and len(members[name].partitions) > share else 0)
        kept = [p for p in sorted(members[name].partitions) if p in free][:quota]
        given[name] = kept
        free.difference_update(kept)
        more -= len(kept) > share
    for partition in sorted(free):
        given[min(given, key=lambda name: (len(given[name]), name))].append(partition)
    return {name: tuple(sorted(numbers)) for name, numbers in given.items()}


class Assignor:
    """The same as aiokafka's own assignors have it; one for each member."""

    name = "memferry"

    def __init__(self, having: Callable[[], Having]) -> None:
        self._having = having

    def metadata(self, topics: Collection[str]) -> Any:
        """Return what a member says of itself when it joins."""
        said = msgspec.json.encode(self._having())
        return ConsumerProtocolMemberMetadata(_VERSION, list(topics), said)

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return each member's assignment; called at the group's leader."""
        (topic,) = {topic for member in members.values() for topic in member.subscription}
        having = {
            name: msgspec.json.decode(member.user_data, type=Having)
            for name, member in members.items()
        }
        given = shared_out(cluster.partitions_for_topic(topic) or (), having)
        return {
            name: ConsumerProtocolMemberAssignment(_VERSION, [(topic, list(numbers))], b"")
            for name, numbers in given.items()
        }

    def on_assignment(self, assignment: Any) -> None:
        """Nothing to note: the member is told of its partitions itself."""
