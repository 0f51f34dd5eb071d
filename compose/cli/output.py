"""How results and errors look."""

import sys
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from schemas.errors import FerryError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
    sys.stdout.write(text + "\n")


def print_error(error: FerryError) -> None:
    """Print what broke, where, and what to do next, on standard error."""
    err.print(f"[bold red]error[/] {_plain(error.what)}")
    if error.where:
        err.print(f"  [dim]where[/] {_plain(error.where)}")
    if error.remedy:
        err.print(f"  [dim]next[/]  {_plain(error.remedy)}")


def grid(*headings: str) -> Table:
    """Return an empty table in the one style that all commands use."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading, justify="right" if heading.islower() else "left")
    return table


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
