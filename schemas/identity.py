"""Event ids: UUID version 7 (RFC 9562), rising within a process."""

import os
import time
from collections.abc import Callable

_RANDOM_BITS = 62
_COUNTER_BITS = 12


def id_generator(clock_ns: Callable[[], int] = time.time_ns) -> Callable[[], str]:
    """Return a function that gives a new UUIDv7 as text at each call.

    Ids of one generator rise strictly, also when the clock stands still or steps back: the 12 bits
    behind the milliseconds count within one millisecond and borrow from the next (RFC 9562, 6.2,
    method 1). Each generator draws its own 62 random bits for the lower half of each id, so two
    processes do not meet. Not safe to call from two threads at once: the shim calls it under its
    lock.
    """
    last = 0  # milliseconds << 12 | counter
    pool = b""
    used = 0

    def next_id() -> str:
        nonlocal last, pool, used
        now = (clock_ns() // 1_000_000) << _COUNTER_BITS
        last = now if now > last else last + 1
        if used == len(pool):
            pool = os.urandom(8 * 256)
            used = 0
        low = int.from_bytes(pool[used : used + 8], "big") >> (64 - _RANDOM_BITS)
        used += 8
        ms, counter = last >> _COUNTER_BITS, last & 0xFFF
        text = "%012x7%03x%016x" % (ms, counter, 1 << 63 | low)  # noqa: UP031  (hot path)
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    return next_id


new_id = id_generator()
