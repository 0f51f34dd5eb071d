"""A time of recording as a place in the log: where in each partition its events begin.

An event's own time stands in its envelope. Kafka's stamp is of the sending, which a relay that was
down does much later; so the stamp only says where to begin to look.
"""

import datetime
import re
from typing import NamedTuple

from projector.log import Log
from projector.replay.scan import NEAR, Bounds, head_of, scan
from schemas.position import PositionInvalid, format_offsets

_FORM = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)?", re.ASCII
)
_AGO = re.compile(r"-(\d{1,9})([smhd])", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_WRITE_IT = (
    "write it as RFC 3339 with its zone, for example 2026-11-26T18:30:00Z or "
    "2026-11-26T19:30:00.5+01:00; or as a time ago: --to-time=-15m (s, m, h or d)"
)
_SLACK_MS = 5_000
"""How much earlier than a time the search for its events begins, by Kafka's stamps."""
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class Instant(NamedTuple):
    """A time, as envelopes write it: texts are in the order of the times that they mean."""

    text: str
    ms: int
    """Milliseconds since 1970, cut off."""

    def __str__(self) -> str:
        whole, _, decimals = self.text.removesuffix("Z").partition(".")
        decimals = decimals.rstrip("0")
        return f"{whole}.{decimals}Z" if decimals else f"{whole}Z"


def parse_instant(text: str, now: datetime.datetime | None = None) -> Instant:
    """Read a time in RFC 3339, to the nanosecond, or `-15m`: so long ago.

    Raises: PositionInvalid, with the form that is wanted.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        if (ago := _AGO.fullmatch(text.strip())) is not None:
            back = datetime.timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
            at, decimals = now - back, f"{now.microsecond:06}"
        elif (written := _FORM.fullmatch(text.strip())) is None:
            raise ValueError
        elif not written[4]:
            raise PositionInvalid(
                f"{text.strip()!r} has no zone: whose clock is meant?", where=text, remedy=_WRITE_IT
            )
        else:
            zone = "+00:00" if written[4] in "Zz" else written[4]
            at = datetime.datetime.fromisoformat(f"{written[1]}T{written[2]}{zone}")
            decimals = written[3] or ""
        return _instant(at.astimezone(datetime.UTC), decimals)
    except (ValueError, OverflowError) as error:
        raise PositionInvalid(
            f"{text.strip()!r} is not a time", where=text, remedy=_WRITE_IT
        ) from error


def instant_at(ms: int) -> Instant:
    """Return the instant of milliseconds since 1970."""
    at = _EPOCH + datetime.timedelta(milliseconds=ms)
    return _instant(at, f"{at.microsecond:06}")


def _instant(at: datetime.datetime, decimals: str) -> Instant:
    seconds = (at.replace(microsecond=0) - _EPOCH) // datetime.timedelta(seconds=1)
    nanoseconds = f"{decimals:0<9}"
    text = f"{at.year:04}-{at:%m-%dT%H:%M:%S}.{nanoseconds}Z"
    return Instant(text, seconds * 1_000 + int(nanoseconds) // 1_000_000)


async def begin_before(log: Log, bounds: Bounds, at: Instant) -> dict[int, int]:
    """Return for each partition an offset before which nothing was recorded at a time or later.

    Proven by looking: the records just below must all be earlier. Where one is not (the clocks of
    app and relay differ), it begins further back, and so on.
    """
    found = await log.at_time(at.ms - _SLACK_MS)
    begins = {p: min(max(found[p], start), end) for p, (start, end) in bounds.items()}
    size, unproven = NEAR, set(begins)
    while unproven:
        lows = {p: max(bounds[p][0], begins[p] - size) for p in unproven}
        late: set[int] = set()
        async for partition, records in scan(log, lows, {p: begins[p] for p in unproven}, late):
            heads = (head_of(record.value) for record in records)
            if any(head is not None and head.time >= at.text for head in heads):
                late.add(partition)
        begins |= {p: lows[p] for p in late}
        unproven, size = late, size * 2
    return begins


async def cut_at(log: Log, bounds: Bounds, at: Instant) -> dict[int, int]:
    """Return for each partition the offset of its first event that was recorded then or later.

    With several sources their clocks, and how late each relay sent, decide what stands behind that
    event: earlier events of another source may.
    Raises: PositionInvalid where the log no longer holds what there was then.
    """
    ends = {p: end for p, (_, end) in bounds.items()}
    cuts = dict(ends)
    enough: set[int] = set()
    async for partition, records in scan(log, await begin_before(log, bounds, at), ends, enough):
        for record in records:
            head = head_of(record.value)
            if head is not None and head.time >= at.text:
                cuts[partition] = record.offset
                enough.add(partition)
                break
    _require_kept(log, bounds, at, cuts, enough)
    return cuts


def _require_kept(
    log: Log, bounds: Bounds, at: Instant, cuts: dict[int, int], found: set[int]
) -> None:
    """Where the first event that is left is not before a time, earlier ones may be gone."""
    gone = [p for p, cut in cuts.items() if p in found and cut == bounds[p][0] > 0]
    if gone:
        raise PositionInvalid(
            f"the log no longer holds what was recorded before {at} in partition {gone[0]}, which "
            f"begins at offset {bounds[gone[0]][0]}",
            where=f"topic {log.topic}",
            remedy=f"the nearest position is --to-offset {format_offsets(cuts)}",
        )
