"""Streams of this source that wait behind a parked event, as the control connection hears of them.

Source: docs/parking.md
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple


class ParkedStream(NamedTuple):
    """The first event of a stream that the tables could not take; all behind it wait, too."""

    stream: str
    partition: int
    seq: int
    type: str
    reason: str
    place: str


class Parked:
    """Told by one thread, asked by any."""

    def __init__(self) -> None:
        self._streams: dict[str, ParkedStream] = {}

    def tell(self, streams: Iterable[ParkedStream]) -> None:
        """Know these streams and no others."""
        # Replaced whole: whoever asks meanwhile sees the ones or the others.
        self._streams = {parked.stream: parked for parked in streams}

    def of_event(self, stream: str, seq: int) -> ParkedStream | None:
        """Return what keeps an event of a stream out of the tables, None where nothing does."""
        parked = self._streams.get(stream)
        return parked if parked is not None and seq >= parked.seq else None

    def concerning(self, streams: str, partitions: Collection[int]) -> ParkedStream | None:
        """Return a parked stream of these partitions that is `streams`, or one of them.

        `streams` is a stream, or with a `/` at its end a kind's streams; empty, it is all.
        """
        known = self._streams.values()
        return next(
            (p for p in known if p.partition in partitions and _is_among(p.stream, streams)), None
        )


def _is_among(stream: str, streams: str) -> bool:
    if not streams or streams.endswith("/"):
        return stream.startswith(streams)
    return stream == streams
