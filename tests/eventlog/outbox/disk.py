"""A disk that is watched, and that fails when it is told to: SQLite's own way to its files."""

import apsw


class WatchedFile(apsw.VFSFile):
    """A file of SQLite's whose writes and fsyncs are counted, and fail when told to."""

    def __init__(self, disk: "WatchedDisk", name: "str | apsw.URIFilename", flags: list[int]):
        super().__init__("unix", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:
        if self._disk.write_error is not None:
            raise self._disk.write_error
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._disk.syncs += 1
        if self._disk.sync_error is not None:
            raise self._disk.sync_error
        super().xSync(flags)


class WatchedDisk(apsw.VFS):
    """The files of this process's outboxes, until `unregister`."""

    def __init__(self) -> None:
        super().__init__("watched", "unix", makedefault=True)
        self.syncs = 0
        self.sync_error: Exception | None = None
        self.write_error: Exception | None = None

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:
        assert name is not None
        return WatchedFile(self, name, flags)

    def mend(self) -> None:
        """Let everything succeed again."""
        self.sync_error = self.write_error = None
