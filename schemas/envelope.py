"""The envelope of every event: CloudEvents 1.0 structured JSON, written once.

The outbox's bytes are Kafka's bytes. An event is encoded in two steps, because its place in its
lane is known only when its transaction is written: `head` when it is recorded, `seal` when the
outbox numbers it. `seq` is a string in the JSON, since CloudEvents integers end at 2**31 - 1.
Source: docs/decisions/0002-envelope.md
"""

import hashlib
import time

import msgspec

from schemas.errors import FerryError

SPECVERSION = "1.0"
CONTENT_TYPE = b"application/cloudevents+json; charset=UTF-8"
SEAL_BYTES_MAX = 150
"""What `seal` adds to head and data at most: seq, epoch, chain, and the closing punctuation."""


class EnvelopeInvalid(FerryError):
    """The bytes of a record are not an event that memferry wrote."""


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """One decoded event; `data` still encoded, to be decoded by `type`.

    Units: `time` is RFC 3339 UTC with nine decimals (nanoseconds); `seq` counts 1, 2, 3 … in the
    lane; `chain` is the SHA-256, in hex, of the event before this one in the lane.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    seq: str
    epoch: int
    chain: str
    data: msgspec.Raw
    unit: str | None = None
    commandid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None
    snapshot: bool = False
    """The stream's first event, of a state that memory had before: what was earlier is nowhere."""


class Context(msgspec.Struct, frozen=True):
    """What may be said of an event beside its data: all optional, all CloudEvents attributes."""

    unit: str | None = None
    commandid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


_decoder = msgspec.json.Decoder(Envelope)
_encode = msgspec.json.encode
_SECOND_NS = 1_000_000_000


class HeadWriter:
    """Encodes what is known of an event when it is recorded; `seal` closes it.

    One a source and event type: what is the same for all their events is encoded once, and the
    second once a second.
    """

    __slots__ = ("_frame", "_now")

    def __init__(self, source: str, event_type: str) -> None:
        constant = b'","source":%b,"type":%b,"subject":' % (_encode(source), _encode(event_type))
        self._frame = b'{"specversion":"1.0","id":"%b' + constant.replace(b"%", b"%%") + b"%b"
        self._now = (-1, b"")

    def head(
        self,
        subject: str,
        event_id: str,
        time_ns: int,
        context: Context | None = None,
        *,
        snapshot: bool = False,
    ) -> bytes:
        """Return the head of one event; `snapshot` of a state that memory had before."""
        second = time_ns // _SECOND_NS
        known, template = self._now
        if second != known:
            template = self._begin(second)
        text = template % (event_id.encode(), _encode(subject), time_ns - second * _SECOND_NS)
        if snapshot:
            text += b',"snapshot":true'
        if context is None:
            return text
        named = (
            (name, getattr(context, name))
            for name in ("unit", "commandid", "causationid", "traceparent")
        )
        return text + b"".join(b',"%b":%b' % (n.encode(), _encode(v)) for n, v in named if v)

    def _begin(self, second: int) -> bytes:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        template = self._frame + b',"time":"%b.%%09dZ"' % text.encode()
        self._now = (second, template)
        return template


def seal(head_bytes: bytes, data: bytes, seq: int, epoch: int, chain: str) -> bytes:
    """Close an event with its place in its lane: these are the bytes that are kept for ever."""
    return b'%b,"seq":"%d","epoch":%d,"chain":"%b","data":%b}' % (
        head_bytes,
        seq,
        epoch,
        chain.encode(),
        data,
    )


def digest(event_bytes: bytes) -> str:
    """Return the SHA-256 of a sealed event in hex: the next event's `chain`."""
    return hashlib.sha256(event_bytes).hexdigest()


def decode(event_bytes: bytes) -> Envelope:
    """Return the envelope of one record's value.

    Raises: EnvelopeInvalid where the bytes are not JSON, lack an attribute, or have another
            `specversion`. Where the record stands is the caller's to add.
    """
    try:
        envelope = _decoder.decode(event_bytes)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EnvelopeInvalid(f"a record is not a CloudEvents 1.0 envelope: {error}") from error
    if envelope.specversion != SPECVERSION:
        raise EnvelopeInvalid(f"a record has specversion {envelope.specversion!r}, not 1.0")
    return envelope
