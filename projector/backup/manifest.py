"""What a backup says of itself: what is in it, as of one moment, and how to know it again."""

import datetime
import re

import msgspec

from projector.control_tables import State
from schemas.errors import FerryError
from schemas.fingerprint import Parts

BACKUP_FORMAT = 1
CONTROL = "memferry"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class BackupNameInvalid(FerryError):
    """A backup cannot be called that: its name is a directory's."""


class Partition(msgspec.Struct, frozen=True, array_like=True):
    """One partition of a table: whose, and for which values, as PostgreSQL writes them."""

    table: str
    name: str
    bound: str


class Dump(msgspec.Struct, frozen=True):
    """The file beside the manifest."""

    file: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One backup. Everything is of the snapshot of the database that the rows are of."""

    format: int = BACKUP_FORMAT
    name: str
    purpose: str = ""
    """`before-migration`; empty: somebody made it by hand."""
    made_at: datetime.datetime
    made_by: str
    projection: str
    domain: str
    topic: str
    generation: int
    partitions: int
    state: State
    reason: str
    code: dict[str, Parts]
    """Kind → digests of the code that its rows were made with."""
    position: dict[int, int]
    """Kafka partition → exclusive offset."""
    tails: dict[int, str]
    """Kafka partition → SHA-256 of the record below the position, where it is known."""
    voids: list[list[str]]
    """(id, source) of the voids that the rows obey."""
    savepoints: dict[str, dict[int, int]]
    epoch: int
    control_position: int
    """Exclusive offset up to which the control topic was read."""
    trail: int
    """Number of the newest entry of the audit trail, and its chain; 0 where it had none."""
    trail_chain: str
    rows: dict[str, int]
    """Rows of each table of the projection."""
    control_rows: dict[str, int]
    """Likewise of each control table whose rows are in the dump."""
    months: list[Partition]
    """Partitions of the tables."""
    control_format: int
    server_version: int
    """As libpq has it: 180006 for 18.6."""
    memferry_version: str
    dump: Dump

    @property
    def counted(self) -> dict[tuple[str, str], int]:
        """Rows by (schema, table)."""
        mine = {(self.projection, table): rows for table, rows in self.rows.items()}
        return mine | {(CONTROL, table): rows for table, rows in self.control_rows.items()}

    @property
    def automatic(self) -> bool:
        """Whether it was made without being asked for."""
        return bool(self.purpose)


def require_name(name: str) -> None:
    """Check that a backup can have a name; raises BackupNameInvalid."""
    if not _NAME.fullmatch(name):
        raise BackupNameInvalid(
            f"a backup cannot be called {name!r}",
            where="its name",
            remedy="letters, digits, `.`, `_` and `-`, the first a letter or digit, 100 at most",
        )
