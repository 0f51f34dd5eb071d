"""The `memferry` command: results on standard output, progress on standard error."""

from compose.cli.main import main

__all__ = ["main"]
