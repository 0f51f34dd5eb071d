"""Event ids: UUID version 7 (RFC 9562), rising within a process."""

import os
import random
import time
from collections.abc import Callable

_COUNTER_MAX = 0xFFF
_VARIANT = 1 << 63
_RANDOM_BITS = 62


def id_generator(clock_ns: Callable[[], int] = time.time_ns) -> Callable[[], str]:
    """Return a function that gives a new UUIDv7 as text at each call.

    Ids of one generator rise strictly, also when the clock stands still or steps back: the 12 bits
    behind the milliseconds count within one millisecond and borrow from the next (RFC 9562, 6.2,
    method 1). The lower half is random, drawn once a millisecond: two generators differ in it, one
    generator's ids differ before it. The operating system seeds it once: to ask it at every id
    would give up the interpreter's lock in the middle of recording. Not safe to call from two
    threads at once: the shim calls it under its lock.
    """
    bits = random.Random(os.urandom(64)).getrandbits  # noqa: S311  (ids are unique, not secret)
    last_ms = -1
    counter = 0
    before = after = ""  # what stands around the counter

    def next_id() -> str:
        nonlocal last_ms, counter, before, after
        ms = clock_ns() // 1_000_000
        if ms > last_ms or counter == _COUNTER_MAX:
            last_ms = ms if ms > last_ms else last_ms + 1
            counter = 0
            text, low = f"{last_ms:012x}", f"{_VARIANT | bits(_RANDOM_BITS):x}"
            before, after = f"{text[:8]}-{text[8:]}-7", f"-{low[:4]}-{low[4:]}"
        else:
            counter += 1
        return f"{before}{counter:03x}{after}"

    return next_id


new_id = id_generator()
