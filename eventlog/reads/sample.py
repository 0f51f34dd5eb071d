"""A sample of memory compared with the tables: what a cutover demands before it moves reads."""

import random
from collections.abc import Mapping

import msgspec

from eventlog.reads.comparison import Comparison, Mismatch
from eventlog.reads.memory import Memory


class Sample(msgspec.Struct, frozen=True):
    """What was compared and what of it differs."""

    compared: dict[str, int]
    """Entities by kind."""
    mismatches: list[Mismatch]


def take_sample(kinds: Mapping[str, tuple[Memory, Comparison]], entities: int, seed: int) -> Sample:
    """Compare up to `entities` of each kind, drawn by key; and how many there are, outside rings.

    The same seed draws the same keys from the same memory. It goes on while the app writes.
    Raises: ReadUnavailable, ReceiptTimeout: nothing is known then.
    """
    draw = random.Random(seed)  # noqa: S311  (a sample, not a secret)
    compared: dict[str, int] = {}
    mismatches: list[Mismatch] = []
    for name, (memory, comparison) in kinds.items():
        keys = memory.keys()
        drawn = draw.sample(keys, min(entities, len(keys)))
        mismatches += comparison.entities(drawn)
        number = comparison.number()
        mismatches += [] if number is None else [number]
        compared[name] = len(drawn)
    return Sample(compared, mismatches)
