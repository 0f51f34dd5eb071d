"""The rows in a dump, table by table, as COPY takes them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from projector.backup.programs import Programs, running
from schemas.errors import FerryError

_COPY, _FROM, _END = b"COPY ", b" FROM stdin;\n", b"\\.\n"
_NAME = re.compile(r'"((?:[^"]|"")*)"|([^\s".,()]+)')
_CHUNK = 256 * 1024


class DumpUnreadable(FerryError):
    """What pg_restore writes is not what a dump's rows look like."""


class Rows:
    """The rows of one table; what is not read of them is skipped."""

    def __init__(self, into: str, stream: IO[bytes]) -> None:
        """`into` is what pg_dump wrote behind COPY: `trading.trades (id, price)`."""
        names = [
            found[2] if found[1] is None else found[1].replace('""', '"')
            for found in _NAME.finditer(into)
        ]
        _, self.table, *self.columns = names
        self._stream = stream
        self._ended = False

    def chunks(self) -> Iterator[bytes]:
        """Yield the rows in COPY's text form, many at a time; raises DumpUnreadable."""
        gathered: list[bytes] = []
        size = 0
        for line in self._stream:
            if line == _END:
                self._ended = True
                break
            gathered.append(line)
            size += len(line)
            if size >= _CHUNK:
                yield b"".join(gathered)
                gathered, size = [], 0
        if not self._ended:
            raise DumpUnreadable(
                f"the dump ends within the rows of {self.table}",
                where="pg_restore's output",
                remedy="`memferry backup list` says which backups are whole",
            )
        yield b"".join(gathered)

    def skip(self) -> None:
        """Read what is left of them."""
        if not self._ended:
            for _ in self.chunks():
                pass


def rows_in(
    programs: Programs, dump: Path, schema: str, tables: tuple[str, ...] = ()
) -> Iterator[Rows]:
    """Yield the rows of a dump's tables in a schema: of all, or of those named.

    Raises: ProgramFailed, DumpUnreadable.
    """
    arguments = [
        "--data-only", "--file=-", f"--schema={schema}", *(f"--table={name}" for name in tables),
        str(dump),
    ]  # fmt: skip
    with running(programs, "pg_restore", *arguments) as output:
        for line in output:
            if line.startswith(_COPY) and line.endswith(_FROM):
                rows = Rows(line[len(_COPY) : -len(_FROM)].decode(), output)
                yield rows
                rows.skip()
