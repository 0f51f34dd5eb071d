"""Chance that is the same in every run: drawn from a seed and words, not from a sequence.

A restarted app draws again what it drew before, wherever in the tape it goes on.
"""

from zlib import crc32

DRAWS = 10_000


def chance(seed: int, *words: object) -> int:
    """Return a number from 0 to 9,999 that depends on the seed and the words alone."""
    return crc32(repr(words).encode(), seed) % DRAWS
