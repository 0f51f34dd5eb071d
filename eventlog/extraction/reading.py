"""Extraction files read, line by line, into state-carrying events; what is wrong is gathered."""

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
from msgspec import inspect

from eventlog.extraction.format import FORMAT, VERSION, End, Header, Line, form_of, opened
from schemas.domain import Domain, EventType, Kind
from schemas.errors import FerryError
from schemas.validity import Validator

_TEXT = (inspect.StrType, inspect.DecimalType, inspect.DateTimeType, inspect.DateType,
         inspect.LiteralType, inspect.EnumType, inspect.UUIDType)  # fmt: skip


class FileInvalid(FerryError):
    """An extraction file holds something that may not be recorded; nothing was."""


class Stated(NamedTuple):
    """One entity of a file, as its state-carrying event."""

    line: int
    kind: Kind
    event: msgspec.Struct
    undeclared: tuple[str, ...] = ()
    """Names beside the event's fields: nothing reads them."""


class Problem(NamedTuple):
    """What is wrong with a line."""

    line: int
    what: str


def state_types(kind: Kind) -> dict[str, EventType]:
    """Return the types of a kind's events that alone make a whole entity, by name.

    Of a derived kind it is the one that is described; of others those whose fields, or whose one
    field's, are the entity's own. The last one is meant where a line names none.
    """
    if kind.description is not None:
        name = kind.description.stated
        return {name: kind.events[name]}
    wanted = set(kind.fields)
    return {
        name: event
        for name, event in kind.events.items()
        if wanted <= set(event.__struct_fields__) or _wraps(event, kind.entity)
    }


def _wraps(event: EventType, entity: type) -> bool:
    info: Any = inspect.type_info(event)
    return any(getattr(field.type, "cls", None) is entity for field in info.fields)


class Reader:
    """One file; `stated` may be read more than once.

    Raises: FileFormUnknown, FileInvalid where the file as a whole is no extraction.
    """

    def __init__(self, path: Path, domain: Domain, kind: str = "") -> None:
        self.path = path
        self._domain = domain
        self._form = form_of(path)
        self._kind = kind
        if self._form == "csv" and not kind:
            raise FileInvalid(
                "a CSV file does not say of which kind its entities are",
                where=str(path),
                remedy="name it with --kind",
            )
        self._kinds = {k.name: _Parser(k) for k in domain.kinds}
        if kind:
            domain.kind(kind)

    def stated(self, wrong: Callable[[Problem], None]) -> Iterator[Stated]:
        """Yield each entity that is right; what is wrong goes to `wrong`.

        Raises: FileInvalid where the file cannot be read, is of another form, or not whole.
        """
        try:
            with self.path.open("rb") as raw, opened(raw, self.path, "r") as content:
                if self._form == "csv":
                    yield from self._from_csv(content, wrong)
                else:
                    yield from self._from_lines(content, wrong)
        except (OSError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
            raise self._unreadable(str(error)) from error

    def _from_lines(self, content: IO[bytes], wrong: Callable[[Problem], None]) -> Iterator[Stated]:
        self._require_header(content.readline())
        entities, ended = 0, False
        for number, text in enumerate(content, 2):
            if not text.strip():
                continue
            if ended:
                raise self._unreadable(f"line {number} stands behind the last one")
            if text.startswith(b'{"entities"'):
                end = _decoded(text, End)
                ended = isinstance(end, End) and end.entities == entities
                if not ended:
                    raise self._unreadable(f"its last line {number} does not count {entities}")
                continue
            entities += 1
            found = self._line(number, text)
            if isinstance(found, Problem):
                wrong(found)
            else:
                yield found
        if not ended:
            raise self._unreadable("its last line is missing: the file was cut short")

    def _line(self, number: int, text: bytes) -> Stated | Problem:
        line = _decoded(text, Line)
        if isinstance(line, str):
            return Problem(number, line)
        parser = self._kinds.get(line.kind)
        if parser is None:
            known = ", ".join(self._kinds)
            return Problem(number, f"there is no kind {line.kind!r} in the domain: it has {known}")
        return parser.event(number, line.type, bytes(line.data))

    def _from_csv(self, content: IO[bytes], wrong: Callable[[Problem], None]) -> Iterator[Stated]:
        parser = self._kinds[self._kind]
        rows = csv.reader(io.TextIOWrapper(content, "utf-8-sig", newline=""), strict=True)
        try:
            names = next(rows, None)
            if not names:
                raise self._unreadable("its first line must name the fields")
            for row in rows:
                found = parser.row(rows.line_num, names, row)
                if isinstance(found, Problem):
                    wrong(found)
                else:
                    yield found
        except csv.Error as error:
            raise self._unreadable(f"line {rows.line_num}: {error}") from error

    def _require_header(self, text: bytes) -> None:
        header = _decoded(text, Header)
        if isinstance(header, str) or header.format != FORMAT:
            raise self._unreadable(f'its first line must be a header with "format":"{FORMAT}"')
        if header.version != VERSION:
            raise self._unreadable(
                f"it has version {header.version}, this memferry reads version {VERSION}"
            )

    def _unreadable(self, why: str) -> FileInvalid:
        return FileInvalid(
            f"the file cannot be imported: {why}",
            where=str(self.path),
            remedy="write it again; docs/extraction.md says what it must hold",
        )


class _Parser:
    """Makes events of one kind from texts, of today's version, as strictly as `record` does."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._types = state_types(kind)
        self._usual = next(reversed(self._types), "")
        self._today = {name: _today(kind, name) for name in kind.readers()}
        self._readers = kind.readers()
        self._validators = {n: Validator(e).encode for n, e in self._types.items()}
        self._fields = {n: _cells(event) for n, event in self._types.items()}

    def event(self, number: int, type_name: str, data: bytes) -> Stated | Problem:
        type_name = type_name or self._usual
        today = self._today.get(type_name)
        if today not in self._types:
            known = " or ".join(self._types)
            return Problem(number, f"its type is {type_name!r}, a {self.kind.name} has {known}")
        try:
            event = self._readers[type_name](data)
            same = self._validators[today](event) == data
            made = self.kind.evolve(None, event)
            if made is None or self.kind.key_getter()(made) != self.kind.key_getter()(event):
                return Problem(number, "its state is of another key than it says itself")
        except FerryError as error:
            return Problem(number, error.what)
        except (msgspec.MsgspecError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            return Problem(number, str(error))
        return Stated(number, self.kind, event, () if same else self._undeclared(type_name, data))

    def _undeclared(self, type_name: str, data: bytes) -> tuple[str, ...]:
        earlier = self.kind.upcasters.get(type_name)
        written = earlier.struct if earlier is not None else self._types[type_name]
        found = msgspec.json.decode(data)
        if not isinstance(found, dict):
            return ()  # an array: the decoder has counted it
        return tuple(sorted(found.keys() - set(written.__struct_encode_fields__)))

    def row(self, number: int, names: list[str], row: list[str]) -> Stated | Problem:
        cells = self._fields[self._usual]
        unknown = [one for one in names if one not in cells]
        if unknown:
            return Problem(number, f"{self.kind.name} has no field {unknown[0]!r}")
        if len(row) != len(names):
            return Problem(number, f"{len(row)} values, {len(names)} fields are named")
        pairs = zip(names, row, strict=True)
        values = {field: cells[field](text) for field, text in pairs}
        encoded = [
            b"%b:%b" % (msgspec.json.encode(field), value)
            for field, value in values.items()
            if value is not None
        ]
        return self.event(number, "", b"{%b}" % b",".join(encoded))


def _today(kind: Kind, name: str) -> str:
    """Return the type that events of this one are read as."""
    while name in kind.upcasters:
        name = kind.upcasters[name].to
    return name


def _cells(event: EventType) -> dict[str, Callable[[str], bytes | None]]:
    """Return for each field how its cell becomes JSON; None is a cell that says nothing."""
    info: Any = inspect.type_info(event)
    return {field.encode_name: _cell(field) for field in info.fields}


def _cell(field: Any) -> Callable[[str], bytes | None]:
    kinds = _alternatives(field.type)
    nullable = any(isinstance(kind, inspect.NoneType) for kind in kinds)
    empty = b"null" if nullable else None
    if all(isinstance(kind, _TEXT) for kind in kinds if not isinstance(kind, inspect.NoneType)):
        is_text = any(isinstance(kind, inspect.StrType) for kind in kinds)
        nothing = b'""' if is_text and not nullable else empty
        return lambda text: msgspec.json.encode(text) if text else nothing
    if all(isinstance(kind, inspect.BoolType | inspect.NoneType) for kind in kinds):
        return lambda text: text.strip().lower().encode() if text else empty
    if any(isinstance(kind, inspect.AnyType) for kind in kinds):
        empty = b"null"
    return lambda text: _json_or_text(text) if text else empty


def _json_or_text(text: str) -> bytes:
    try:
        msgspec.json.decode(text)
    except msgspec.MsgspecError:
        return msgspec.json.encode(text)
    return text.encode()


def _alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    if isinstance(kind, inspect.UnionType):
        return tuple(inner for one in kind.types for inner in _alternatives(one))
    return (kind,)


def _decoded(text: bytes, form: type[Any]) -> Any:
    """Return a line as `form`, or a text that says why it is none."""
    try:
        return msgspec.json.decode(text, type=form)
    except (msgspec.MsgspecError, RecursionError) as error:
        return str(error)
