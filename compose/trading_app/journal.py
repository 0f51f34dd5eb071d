"""The app's own journal of what was acknowledged: what a check from outside compares all else with.

JSON lines, flushed per group, never rewritten: the entities in memory at attach, once; then each
acknowledged mutation in the order recorded; a line at each later start.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from compose.trading_app.recording import Recorded
from schemas.trading import DOMAIN

_encode = msgspec.json.Encoder().encode


class Baseline(msgspec.Struct, frozen=True):
    """An entity that was in memory before anything was recorded."""

    baseline: str
    entity: msgspec.Struct


class Acknowledged(msgspec.Struct, frozen=True):
    """A mutation whose receipt became durable."""

    id: str
    stream: str
    type: str
    source: str
    partition: int
    seq: int
    data: msgspec.Struct


class Restarted(msgspec.Struct, frozen=True):
    """The app was started again."""

    restarted: str


class Journal:
    """An open journal file."""

    def __init__(self, path: Path, baseline: Mapping[str, Iterable[Any]]) -> None:
        """Begin the journal with the baseline, by kind, or go on with the one there is."""
        if path.exists():
            _cut_torn_line(path)
            self._file = path.open("ab", buffering=0)
            self._write([Restarted(datetime.now(UTC).isoformat())])
            return
        unfinished = path.with_name(f"{path.name}.unfinished")
        self._file = unfinished.open("wb", buffering=0)
        for kind, entities in baseline.items():
            self._write([Baseline(kind, entity) for entity in entities])
        unfinished.rename(path)

    def acknowledge(self, group: Sequence[Recorded], source: str) -> None:
        """Write a group whose receipts are all durable."""
        type_of = DOMAIN.type_of
        self._write(
            [
                Acknowledged(
                    receipt.event_id, receipt.stream, type_of[type(event)], source,
                    receipt.partition, receipt.seq, event,
                )
                for event, receipt in group
            ]
        )  # fmt: skip

    def close(self) -> None:
        """Close the file; everything is in it already."""
        self._file.close()

    def _write(self, lines: Sequence[msgspec.Struct]) -> None:
        text = b"".join([_encode(line) + b"\n" for line in lines])
        while text:
            text = text[self._file.write(text) :]


def _cut_torn_line(path: Path) -> None:
    """Remove what a kill left of a line that was being written: it was never complete."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
