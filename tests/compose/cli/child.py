"""One `memferry` in a process of its own; a module that is quick to import."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from compose.cli import main


def run(
    arguments: Sequence[str], environment: Mapping[str, str], directory: Path, output: Path
) -> None:
    """Become `memferry` with these arguments; write to `output`/out and `output`/err."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for name, descriptor in (("out", 1), ("err", 2)):
        handle = os.open(output / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, descriptor)
    sys.argv = ["memferry", *arguments]
    main()
