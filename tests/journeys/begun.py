"""A memferry command under way: looked at, killed, or waited for."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import msgspec

_DEADLINE_S = 300.0


class Begun:
    """One run of a command with `--json`; its log goes to `commands.log` of a directory."""

    def __init__(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str]
    ) -> None:
        self._output = TemporaryFile()  # noqa: SIM115  (the process writes while this one waits)
        with (directory / "commands.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--json"], stdout=self._output, stderr=log, stdin=subprocess.DEVNULL,
                env=dict(environment),
            )  # fmt: skip

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it as a power cut would: kill -9."""
        self._process.kill()
        self._process.wait()

    def result(self) -> tuple[int, Any]:
        """Wait for its end; return its exit code, and its JSON document or None."""
        code = self._process.wait(_DEADLINE_S)
        self._output.seek(0)
        said = self._output.read()
        self._output.close()
        return code, msgspec.json.decode(said) if said.strip() else None
