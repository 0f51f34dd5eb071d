"""Extraction files written: whole or not at all, and never over another one unasked."""

import csv
import datetime
import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec

from eventlog.extraction.fields import Fields
from eventlog.extraction.format import FORMAT, VERSION, End, Header, Line, form_of, opened
from eventlog.extraction.selection import Selector, require_selectable
from eventlog.extraction.survey import Held, breathing
from schemas.domain import Domain, Kind
from schemas.errors import FerryError
from schemas.extraction import Selection
from schemas.validity import Validator

_encode = msgspec.json.encode


class FileExists(FerryError):
    """The file to write is there already."""


class OneKindOnly(FerryError):
    """A CSV file was asked for of several kinds."""


class Entry(NamedTuple):
    """One entity to be written: its kind, its event's type, and the event's encoding."""

    kind: str
    type: str
    data: bytes


def write_extraction(
    path: str | Path,
    held: Sequence[Held],
    domain: Domain,
    *,
    source: str = "",
    position: int | None = None,
    selection: Selection = Selection(),  # noqa: B008  (frozen)
    force: bool = False,
) -> dict[str, int]:
    """Write the selected entities to a file; return how many of each kind.

    JSON lines or CSV by the file's name, compressed where that ends in .gz. It is written beside
    its place and renamed, so that it is whole where it is.
    Raises: FileExists, FileFormUnknown, OneKindOnly, KindUnknown, KindTimeless, EventInvalid naming
            the entity that may not reach the log.
    """
    require_selectable(selection, [one.kind for one in held])
    entries = entries_of(held, selection)
    kinds = [one.kind for one in chosen(held, selection)]
    header = new_header(source, domain.name, position, [kind.name for kind in kinds])
    return write_entries(Path(path), entries, kinds, header, force=force)


def chosen(held: Sequence[Held], selection: Selection) -> list[Held]:
    """Return those whose kinds are selected."""
    return [one for one in held if not selection.kinds or one.kind.name in selection.kinds]


def new_header(source: str, domain: str, position: int | None, kinds: list[str]) -> Header:
    """Return the header of a file that is written now."""
    now = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    return Header(
        format=FORMAT, version=VERSION, source=source, domain=domain, taken_at=now,
        position=position, kinds=kinds,
    )  # fmt: skip


def require_writable(path: Path, kinds: Sequence[str], *, force: bool) -> None:
    """Check a file's name before anything is extracted for it.

    Raises: FileExists, FileFormUnknown, OneKindOnly.
    """
    if form_of(path) == "csv" and len(kinds) != 1:
        raise OneKindOnly(
            f"a CSV file holds one kind, there are {len(kinds)} to write",
            where=str(path),
            remedy="name one with --kind, or write JSON lines: NAME.jsonl",
        )
    if path.exists() and not force:
        raise FileExists(
            "the file is there already",
            where=str(path),
            remedy="choose another name, or write over it with --force",
        )


def write_entries(
    path: Path, entries: Iterable[Entry], kinds: Sequence[Kind], header: Header, *, force: bool
) -> dict[str, int]:
    """Write entities of these kinds; return how many of each.

    Raises: FileExists, FileFormUnknown, OneKindOnly, whatever `entries` raises.
    """
    counts = {kind.name: 0 for kind in kinds}
    require_writable(path, list(counts), force=force)
    with _in_place(path, force) as file:
        if form_of(path) == "csv":
            _write_csv(file, entries, kinds[0], counts)
        else:
            _write_lines(file, entries, header, counts)
    return counts


@contextmanager
def _in_place(path: Path, force: bool) -> Iterator[IO[bytes]]:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Others may not read it: it is what the app holds.
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
            with opened(f, path, "w") as content:
                yield content
            f.flush()
            os.fsync(f.fileno())
        if force:
            temporary.replace(path)
        else:
            _link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    try:
        path.hardlink_to(temporary)  # unlike a rename, refuses what came meanwhile
    except FileExistsError:
        raise FileExists(
            "another file came to be there meanwhile", where=str(path), remedy="choose another name"
        ) from None
    except OSError:  # a file system without such links
        temporary.replace(path)


def _write_lines(
    file: IO[bytes], entries: Iterable[Entry], header: Header, counts: dict[str, int]
) -> None:
    file.write(_encode(header) + b"\n")
    for kind, type_name, data in entries:
        file.write(_encode(Line(kind, msgspec.Raw(data), type_name)) + b"\n")
        counts[kind] += 1
    file.write(_encode(End(sum(counts.values()))) + b"\n")


def _write_csv(
    file: IO[bytes], entries: Iterable[Entry], kind: Kind, counts: dict[str, int]
) -> None:
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    lines = csv.writer(text)
    names: Sequence[str] = ()
    for _, type_name, data in entries:
        if not names:
            names = kind.events[type_name].__struct_encode_fields__
            lines.writerow(names)
        values = msgspec.json.decode(data)
        lines.writerow([_cell(values.get(name)) for name in names])
        counts[kind.name] += 1
    if not names:
        lines.writerow(Fields(kind).names)
    text.detach()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else _encode(value).decode()


def entries_of(
    held: Sequence[Held], selection: Selection, told: Callable[[], None] = lambda: None
) -> Iterator[Entry]:
    """Yield the selected entities; raises KindTimeless, EventInvalid naming the entity."""
    for one in chosen(held, selection):
        yield from _entries_of_kind(one, selection, told)


def _entries_of_kind(one: Held, selection: Selection, told: Callable[[], None]) -> Iterator[Entry]:
    kind, fields = one.kind, Fields(one.kind)
    types = {event: name for name, event in kind.events.items()}
    selector = Selector(selection, fields)
    validators: dict[type, Callable[[Any], bytes]] = {}
    for entity in breathing(one.copy(), told):
        key = fields.key(entity)
        try:
            event = kind.snapshot(entity)
            if not (selector.takes_all or selector.takes(key, fields.values(event))):
                continue
            cls = type(event)
            if cls not in validators:
                validators[cls] = Validator(cls).encode
            yield Entry(kind.name, types[cls], validators[cls](event))
        except FerryError as error:
            error.where = f"{kind.name} {key}"
            raise
