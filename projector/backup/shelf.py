"""Where backups are kept: one directory each, which appears whole or not at all.

A backup is made under a name that begins with a dot, forced to disk, and renamed. Whoever makes it
holds a lock on that directory, so that what a kill left behind is told from what is being made.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from projector.backup.manifest import BACKUP_FORMAT, Manifest
from schemas.errors import FerryError

MANIFEST = "manifest.json"
DUMP = "database.dump"
SUMS = "SHA256SUMS"
VERIFIED = "verified.json"
How = Literal["listing", "restore"]
_MAKING, _DROPPING = ".making-", ".dropping-"


class BackupExists(FerryError):
    """The name is used: no backup is written over."""


class BackupUnknown(FerryError):
    """There is no backup of that name."""


class BackupDamaged(FerryError):
    """A backup is not what it was when it was made."""


class ShelfUnusable(FerryError):
    """The directory of backups cannot be made or written."""


class Verified(msgspec.Struct, frozen=True):
    """When a backup was looked at last, and how: `listing`, or `restore` into a database."""

    how: How
    at: str
    by: str


class Kept(msgspec.Struct, frozen=True):
    """One backup as it lies there; `damage` is empty where it is whole."""

    name: str
    manifest: Manifest | None
    damage: str
    verified: Verified | None


class Shelf:
    """The directory of backups."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, name: str) -> Path:
        """Return where a backup is."""
        return self.directory / name

    def names(self) -> list[str]:
        """Return the names of all backups, damaged ones too."""
        if not self.directory.is_dir():
            return []
        return sorted(
            path.name
            for path in self.directory.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )

    def manifest(self, name: str) -> Manifest:
        """Return what a backup says of itself; raises BackupUnknown, BackupDamaged."""
        if name not in self.names():
            known = self.names()
            raise BackupUnknown(
                f"there is no backup {name!r}",
                where=str(self.directory),
                remedy=f"there are: {', '.join(known[-5:])}" if known else "`memferry backup take`",
            )
        try:
            manifest = msgspec.json.decode((self.path(name) / MANIFEST).read_bytes(), type=Manifest)
        except (OSError, msgspec.MsgspecError) as error:
            raise _damaged(self.path(name), f"its manifest cannot be read: {error}") from error
        if manifest.format != BACKUP_FORMAT:
            raise BackupDamaged(
                f"backup {name!r} has format {manifest.format}, this memferry reads "
                f"{BACKUP_FORMAT}",
                where=str(self.path(name)),
                remedy="use the memferry that made it, or a later one",
            )
        return manifest

    def require_whole(self, name: str, *, bytes_too: bool = True) -> Manifest:
        """Return a backup's manifest once its files are what they were; raises BackupDamaged.

        Without `bytes_too` only the manifest is read, and of the dump its size.
        """
        manifest = self.manifest(name)
        place = self.path(name)
        try:
            sums = dict(_read_sums(place / SUMS))
            if sums[MANIFEST] != _digest(place / MANIFEST) or sums[DUMP] != manifest.dump.sha256:
                raise _damaged(place, "its manifest was altered")
            size = (place / DUMP).stat().st_size
            if size != manifest.dump.size_bytes:
                said = f"{DUMP} has {size} bytes and had {manifest.dump.size_bytes}"
                raise _damaged(place, said)
            if bytes_too and _digest(place / DUMP) != manifest.dump.sha256:
                raise _damaged(place, f"{DUMP} was altered: its SHA-256 is another")
        except (OSError, ValueError, KeyError) as error:
            raise _damaged(place, f"a file of it cannot be read: {error}") from error
        return manifest

    def kept(self, *, bytes_too: bool = True) -> list[Kept]:
        """Return all backups, the oldest first, damaged ones at the end."""
        found = []
        for name in self.names():
            manifest, damage = None, ""
            try:
                manifest = self.manifest(name)
                self.require_whole(name, bytes_too=bytes_too)
            except BackupDamaged as error:
                damage = error.what
            found.append(Kept(name, manifest, damage, self.verified(name)))
        far = "9"
        return sorted(found, key=lambda k: k.manifest.made_at.isoformat() if k.manifest else far)

    def verified(self, name: str) -> Verified | None:
        """Return when a backup was looked at last."""
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode((self.path(name) / VERIFIED).read_bytes(), type=Verified)
        return None

    def note_verified(self, name: str, verified: Verified) -> None:
        """Keep when a backup was looked at."""
        fresh = self.path(name) / f".{VERIFIED}"
        write_durably(fresh, msgspec.json.encode(verified))
        fresh.rename(self.path(name) / VERIFIED)

    @contextmanager
    def making(self, name: str) -> Iterator[Path]:
        """Give an empty directory that becomes the backup at the end, and is gone after an error.

        Raises: BackupExists, ShelfUnusable.
        """
        if self.path(name).exists():
            raise _exists(self.path(name))
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self.directory):  # nobody takes for a leftover what is not locked yet
                self._clear_leftovers()
                place, lock = self._begin(name)
        except OSError as error:
            raise ShelfUnusable(
                f"backups cannot be kept there: {error.strerror or error}",
                where=str(self.directory),
                remedy="make it writable, or choose another place (`backup.directory`)",
            ) from error
        try:
            yield place
            _sync_directory(place)
            try:
                place.rename(self.path(name))
            except OSError as error:
                raise _exists(self.path(name)) from error
            _sync_directory(self.directory)
        finally:
            shutil.rmtree(place, ignore_errors=True)
            os.close(lock)

    def drop(self, name: str) -> None:
        """Remove a backup: from one moment on it is no backup any more."""
        leaving = self.directory / f"{_DROPPING}{name}"
        self.path(name).rename(leaving)
        shutil.rmtree(leaving, ignore_errors=True)

    def _begin(self, name: str) -> tuple[Path, int]:
        place = self.directory / f"{_MAKING}{name}-{os.getpid()}"
        place.mkdir(mode=0o700)
        lock = os.open(place, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return place, lock

    def _clear_leftovers(self) -> None:
        """Remove what killed processes were making, or removing."""
        for left in self.directory.iterdir():
            dead = left.name.startswith(_MAKING) and not _is_being_made(left)
            if dead or left.name.startswith(_DROPPING):
                shutil.rmtree(left, ignore_errors=True)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file that is on the disk when this returns, private to this user."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_sums(place: Path, manifest: Manifest) -> None:
    """Write both files' digests as `sha256sum --check` reads them."""
    text = f"{_digest(place / MANIFEST)}  {MANIFEST}\n{manifest.dump.sha256}  {DUMP}\n"
    write_durably(place / SUMS, text.encode())


def _read_sums(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text("utf-8").splitlines():
        digest, name = line.split("  ", 1)
        yield name, digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_being_made(place: Path) -> bool:
    with suppress(OSError):
        lock = os.open(place, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
    return False


@contextmanager
def _locked(place: Path) -> Iterator[None]:
    lock = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _sync_directory(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _exists(place: Path) -> BackupExists:
    return BackupExists(
        f"a backup {place.name!r} exists",
        where=str(place),
        remedy="choose another name; backups are never written over",
    )


def _damaged(place: Path, what: str) -> BackupDamaged:
    return BackupDamaged(
        f"backup {place.name!r} is damaged: {what}",
        where=str(place),
        remedy="use another one (`memferry backup list`); `memferry replay --to-end` makes the "
        "tables from the log",
    )
