"""An extraction file as records to be validated, before anything of it is recorded.

Every wrong line is a record with its number and its error, not only the first ones. No server is
needed. The form of such a file is in docs/extraction.md.
"""

from functools import partial
from pathlib import Path

import msgspec

from eventlog.extraction.format import Header, form_of, opened
from eventlog.extraction.reading import Problem, Reader, Stated
from eventlog.extraction.staging import Staging
from projector.audit.records.record import Add, Record, key_writer
from projector.audit.validation import File
from schemas.domain import Domain, Kind
from schemas.errors import FerryError


class FileMissing(FerryError):
    """There is no such file, or nothing in it."""


def file_source(path: Path, domain: Domain, kind: str = "") -> File:
    """Return a file as a source; `kind` names that of a CSV file.

    Raises: FileMissing, FileFormUnknown, FileInvalid; reading it, FileInvalid where it is cut
            short or is no extraction at all.
    """
    require_file(path)
    return File(str(path), partial(_read, Reader(path, domain, kind), domain))


def kinds_named(path: Path) -> list[str]:
    """Return the kinds that a file in JSON lines says it holds; none where it says nothing."""
    require_file(path)
    if form_of(path) == "csv":
        return []
    try:
        with path.open("rb") as raw, opened(raw, path, "r") as content:
            return msgspec.json.decode(content.readline(), type=Header).kinds
    except (OSError, EOFError, ValueError, msgspec.MsgspecError):
        return []  # reading it as a whole says what is wrong with it


def require_file(path: Path) -> None:
    """Check that there is something to read; raises FileMissing."""
    if not path.exists():
        raise FileMissing(
            f"there is no file {str(path)!r}",
            where="--source or --target",
            remedy="name memory, log, tables, or a file that is there: `memferry extract --out "
            "NAME.jsonl` writes one",
        )
    if path.is_dir():
        raise FileMissing(
            f"{str(path)!r} is a directory", where=str(path), remedy="name a file in it"
        )
    if path.is_file() and not path.stat().st_size:
        raise FileMissing(
            f"the file {str(path)!r} is empty",
            where=str(path),
            remedy="write it again: `memferry extract --out NAME.jsonl`",
        )


def _read(reader: Reader, domain: Domain, add: Add) -> str:
    keys = {kind.name: key_writer(kind) for kind in domain.kinds}
    wrong: list[Problem] = []
    entities = 0

    def give_wrong() -> None:
        for line, what in wrong:
            add(_wrong(line, None, "", what))
        wrong.clear()

    with Staging(domain) as staging:  # knows which keys came before
        for stated in reader.stated(wrong.append):
            give_wrong()
            entities += 1
            _give(stated, keys[stated.kind.name](stated.event), staging, add)
        give_wrong()
    return f"{entities:,} entities of the file"


def _give(stated: Stated, key: str, staging: Staging, add: Add) -> None:
    twice = staging.add(stated)
    if twice is not None:
        add(_wrong(stated.line, stated.kind, key, twice.what))
        return
    if stated.undeclared:
        names = ", ".join(stated.undeclared)
        add(_wrong(stated.line, stated.kind, key, f"undeclared fields {names}"))
    entity = stated.kind.evolve(None, stated.event)
    add(Record(f"line {stated.line}", stated.kind, key, entity))


def _wrong(line: int, kind: Kind | None, key: str, what: str) -> Record:
    return Record(f"line {line}", kind, key, error=what, fault="unreadable")
