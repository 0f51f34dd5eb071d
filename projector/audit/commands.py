"""Commands that findings name, written so that a shell takes them as they are meant."""

import shlex


def bisect_command(table: str, key: str, *, in_memory: bool = False) -> str:
    """Return the command that finds the first event after which a row differs."""
    quoted = shlex.quote(key)
    option = f"--key={quoted}" if key.startswith("-") else f"--key {quoted}"
    memory = " --with-memory" if in_memory else ""
    return f"memferry audit bisect --table {shlex.quote(table)} {option}{memory}"
