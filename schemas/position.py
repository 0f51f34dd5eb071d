"""A place in the log: for each partition the next offset, exclusive."""

from collections.abc import Mapping

import msgspec

from schemas.errors import FerryError

FIRST_GENERATION = 1
"""A topic's generation until it is published anew under the same name."""


class PositionInvalid(FerryError):
    """A position was written wrongly, or names a place that the topic does not have."""


class Position(msgspec.Struct, frozen=True):
    """(topic, generation, {partition: next offset}); an offset is the first one not applied."""

    topic: str
    generation: int
    offsets: dict[int, int]

    def __str__(self) -> str:
        return format_offsets(self.offsets)

    def covers(self, offsets: Mapping[int, int]) -> bool:
        """Say whether everything below `offsets` is below this position too."""
        return all(self.offsets.get(p, 0) >= offset for p, offset in offsets.items())


def kafka_topic(topic: str, generation: int) -> str:
    """Return the name in Kafka of a generation of a topic."""
    return f"{topic}.{generation}"


def control_topic(topic: str) -> str:
    """Return the name in Kafka of a topic's control topic."""
    return f"{topic}.control"


def format_offsets(offsets: Mapping[int, int]) -> str:
    """Write offsets as `0:120,1:98`."""
    return ",".join(f"{partition}:{offset}" for partition, offset in sorted(offsets.items()))


def parse_offsets(text: str, partitions: int) -> dict[int, int]:
    """Read `0:120,1:98`, or a single number where there is one partition.

    Every partition must be named: a rollback that guesses the rest would not be one.
    Raises: PositionInvalid, saying which part is wrong and the form that is wanted.
    """
    form = "write every partition as PARTITION:OFFSET, for example " + format_offsets(
        {p: 100 for p in range(partitions)}
    )
    offsets: dict[int, int] = {}
    alone = partitions == 1 and text.strip().isdecimal()
    parts = [f"0:{text.strip()}"] if alone else text.split(",")
    for part in parts:
        partition, colon, offset = part.strip().partition(":")
        if not (colon and partition.isdecimal() and offset.isdecimal()):
            raise PositionInvalid(f"{part.strip()!r} is not an offset", where=text, remedy=form)
        if int(partition) >= partitions:
            raise PositionInvalid(
                f"partition {partition} does not exist: the topic has {partitions}",
                where=text,
                remedy=form,
            )
        if int(partition) in offsets:
            raise PositionInvalid(f"partition {partition} is named twice", where=text, remedy=form)
        offsets[int(partition)] = int(offset)
    missing = sorted(set(range(partitions)) - set(offsets))
    if missing:
        raise PositionInvalid(f"partitions {missing} are not named", where=text, remedy=form)
    return offsets
