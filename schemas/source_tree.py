"""Where modules define what they name: their files' syntax trees, looked up by line and by name."""

import ast
import functools
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple


class Definitions(NamedTuple):
    """What one file defines."""

    functions: dict[tuple[int, str], list[ast.AST]]
    """(first line, name) → functions and lambdas: which of several on a line, no code says."""
    classes: dict[str, list[ast.AST]]
    """By qualified name."""
    assigned: dict[str, list[ast.AST]]
    """Name at the module's level → the statements that give it, or its parts, a value."""
    imported: dict[str, tuple[str, int, str]]
    """Name → (module, how many levels up, name there)."""


NOTHING = Definitions({}, {}, {}, {})


def definitions_of(module: str) -> Definitions:
    """Return what a loaded module's file defines; nothing where there is no source of it."""
    return definitions_in(getattr(sys.modules.get(module), "__file__", None) or "")


@functools.cache
def definitions_in(filename: str) -> Definitions:
    """Return what a file defines, as it stood when it was first asked for."""
    try:
        with open(filename, "rb") as file:
            tree = ast.parse(file.read())
    except (OSError, SyntaxError, ValueError):
        return NOTHING
    found = Definitions({}, {}, {}, {})
    _note_scopes(tree, "", found)
    for statement in _statements(tree):
        if isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                place = (statement.module or "", statement.level, alias.name)
                found.imported[alias.asname or alias.name] = place
        for name in _targets(statement):
            found.assigned.setdefault(name, []).append(statement)
    return found


def canonical(node: Any) -> str:
    """Write a syntax tree without positions, docstrings, and fields that are empty.

    `ast.dump` writes other fields in other versions of Python.
    """
    if isinstance(node, ast.Constant):  # None and '' are no empty fields
        return f"Constant({node.value!r})"
    if isinstance(node, ast.AST):
        fields = []
        for name, content in ast.iter_fields(node):
            is_body = name == "body" and isinstance(content, list)
            value = [one for one in content if not _is_text(one)] if is_body else content
            if value not in (None, [], ""):
                fields.append(f"{name}={canonical(value)}")
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(canonical, node))}]"
    return repr(node)


def _is_text(statement: Any) -> bool:
    value = getattr(statement, "value", None) if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _note_scopes(node: ast.AST, prefix: str, found: Definitions) -> None:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
            found.functions.setdefault((first, child.name), []).append(child)
            inner = f"{prefix}{child.name}.<locals>."
        elif isinstance(child, ast.Lambda):
            found.functions.setdefault((child.lineno, "<lambda>"), []).append(child)
        elif isinstance(child, ast.ClassDef):
            found.classes.setdefault(f"{prefix}{child.name}", []).append(child)
            inner = f"{prefix}{child.name}."
        _note_scopes(child, inner, found)


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements that a module runs itself, not those of functions and classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)


def _targets(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign | ast.AugAssign):
        targets = [statement.target]
    else:
        return
    for target in targets:
        for node in ast.walk(target):
            if isinstance(node, ast.Name):
                yield node.id
