"""Bytes of events, altered and forged."""

import random
import re

_SEQ = re.compile(rb'"seq":"\d+"')
_CHAIN = re.compile(rb'"chain":"\w+"')
_ID = re.compile(rb'"id":"([^"]+)"')
_SOURCE = re.compile(rb'"source":"[^"]+"')


def altered_bit(event: bytes, draw: random.Random) -> bytes:
    """Return an event with one bit flipped, wherever."""
    at = draw.randrange(len(event))
    return event[:at] + bytes((event[at] ^ (1 << draw.randrange(8)),)) + event[at + 1 :]


def another(event: bytes) -> bytes:
    """Return an event with the same number and another id: still one that decodes."""
    found = _ID.search(event)
    assert found is not None
    at = found.end(1) - 1
    return event[:at] + (b"0" if event[at : at + 1] != b"0" else b"1") + event[at + 1 :]


def forged(event: bytes, seq: int, chain: str) -> bytes:
    """Return another event with a number and a chain of one's choice."""
    numbered = _SEQ.sub(b'"seq":"%d"' % seq, another(event), count=1)
    return _CHAIN.sub(b'"chain":"%b"' % chain.encode(), numbered, count=1)


def from_elsewhere(event: bytes) -> bytes:
    """Return an event of a source that nobody registered."""
    return _SOURCE.sub(b'"source":"nobody"', event, count=1)
