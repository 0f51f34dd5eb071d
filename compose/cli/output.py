"""How results and errors look."""

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.errors import FerryError

_KB = 1024
_WIDE = 160
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    sys.stdout.write(text + "\n")


def print_error(error: FerryError) -> None:
    """Print what broke, where, and what to do next, on standard error."""
    # As text, not markup; unwrapped, so that a command in it can be copied whole.
    err.print(Text.assemble(("error", "bold red"), f" {error.what}"), soft_wrap=True)
    if error.where:
        err.print(Text.assemble("  ", ("where", "dim"), f" {error.where}"), soft_wrap=True)
    if error.remedy:
        err.print(Text.assemble("  ", ("next", "dim"), f"  {error.remedy}"), soft_wrap=True)


def grid(*headings: str) -> Table:
    """Return an empty table in the one style that all commands use."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading.islower() else "left")
    return table


def print_whole(table: Table) -> None:
    """Print a table with nothing cut off, however narrow the terminal or file is."""
    Console(width=max(out.width, _WIDE), highlight=False).print(table)


def in_bytes(count: int) -> str:
    """Write a size: `17 B`, `3 MB`, `2.5 GB`."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < _KB:
            return f"{size:.0f} {unit}"
        size /= _KB
    return f"{size:.1f} GB"
