"""The form of an extraction file: JSON lines, first a header, last how many entities there were.

    {"format":"memferry.extraction","version":1,"source":"desk-1","domain":"trading", …}
    {"kind":"trade","type":"trading.trade.snapshotted.v1","data":{"trade_id":"T-1", …}}
    {"entities":1}

`data` is the kind's state-carrying event: money is text, times are RFC 3339. Without a `type` the
last one is meant that the kind declares and that carries a whole entity. It may be of an earlier
version, as a file from before has it: what is recorded is of today's.
CSV holds one kind: a line of field names, then a line an entity; a text is as it is, None is empty,
anything else is JSON.
"""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal, cast

import msgspec

from schemas.errors import FerryError

FORMAT = "memferry.extraction"
VERSION = 1


class FileFormUnknown(FerryError):
    """A file's name does not say which of the forms it has."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of an extraction file in JSON lines."""

    format: str
    version: int
    source: str = ""
    domain: str = ""
    taken_at: str = ""
    position: int | None = None
    """The outbox's newest row when the copy was taken, where a shim was attached."""
    kinds: list[str] = []


class Line(msgspec.Struct, frozen=True):
    """One entity."""

    kind: str
    data: msgspec.Raw
    type: str = ""


class End(msgspec.Struct, frozen=True):
    """The last line: without it the file is not whole."""

    entities: int


def form_of(path: Path) -> Literal["jsonl", "csv"]:
    """Return a file's form by its name; raises FileFormUnknown."""
    name = path.name.lower().removesuffix(".gz")
    if name.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if name.endswith(".csv"):
        return "csv"
    raise FileFormUnknown(
        f"the name {path.name!r} does not say what the file holds",
        where=str(path),
        remedy="end it in .jsonl or .csv; .gz behind that compresses it",
    )


@contextmanager
def opened(raw: IO[bytes], path: Path, mode: Literal["r", "w"]) -> Iterator[IO[bytes]]:
    """Yield the file's content, uncompressed where its name ends in .gz."""
    if not path.name.lower().endswith(".gz"):
        yield raw
        return
    with gzip.GzipFile(fileobj=raw, mode="rb" if mode == "r" else "wb", mtime=0) as packed:
        if mode == "r":
            with io.BufferedReader(packed) as buffered:
                yield buffered
        else:
            yield cast("IO[bytes]", packed)
