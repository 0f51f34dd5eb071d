"""Event ids: UUID version 7 (RFC 9562), rising within a process."""

import os
import time
from collections.abc import Callable

_POOL = 256
_COUNTER_MAX = 0xFFF
_VARIANT = "89ab"


def id_generator(clock_ns: Callable[[], int] = time.time_ns) -> Callable[[], str]:
    """Return a function that gives a new UUIDv7 as text at each call.

    Ids of one generator rise strictly, also when the clock stands still or steps back: the 12 bits
    behind the milliseconds count within one millisecond and borrow from the next (RFC 9562, 6.2,
    method 1). The lower half is random. Not safe to call from two threads at once: the shim calls
    it under its lock.
    """
    last_ms = -1
    counter = 0
    prefix = ""
    pool: list[str] = []

    def next_id() -> str:
        nonlocal last_ms, counter, prefix, pool
        ms = clock_ns() // 1_000_000
        if ms > last_ms or counter == _COUNTER_MAX:
            last_ms = ms if ms > last_ms else last_ms + 1
            counter = 0
            text = f"{last_ms:012x}"
            prefix = f"{text[:8]}-{text[8:]}-7"
        else:
            counter += 1
        if not pool:
            pool = _random_halves()
        return f"{prefix}{counter:03x}-{pool.pop()}"

    return next_id


def _random_halves() -> list[str]:
    """Return random lower halves of ids as text, the variant's two bits set."""
    text = os.urandom(8 * _POOL).hex()
    return [
        f"{_VARIANT[int(text[at], 16) & 3]}{text[at + 1 : at + 4]}-{text[at + 4 : at + 16]}"
        for at in range(0, 16 * _POOL, 16)
    ]


new_id = id_generator()
