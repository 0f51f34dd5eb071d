"""A digest of what functions do: their code, and that of everything of their own package they use.

Comments, docstrings, layout and the order of definitions do not count; names, constants, helper
functions and classes of the same package do. Values that may change while the program runs (a dict,
a decimal context, a cache) count as the module's text makes them. What other packages do is not
looked into, nor what a function finds by `getattr` or in a registry filled at run time.
"""

import ast
import dataclasses
import datetime
import functools
import hashlib
import importlib
import inspect
import re
import sys
import types
import uuid
from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from enum import Enum
from importlib.util import resolve_name
from pathlib import PurePath
from typing import Any

import msgspec

from schemas.source_tree import canonical, definitions_in, definitions_of

_OURS = frozenset({"schemas", "eventlog", "projector", "compose", "tests"})
_PLAIN = (
    type(None), bool, int, float, complex, str, bytes, Decimal, datetime.date, datetime.time,
    datetime.timedelta, datetime.timezone, uuid.UUID, Enum, re.Pattern, tuple, frozenset,
    msgspec.Struct,
)  # fmt: skip


_CONTAINERS = (Mapping, tuple, list, deque, frozenset, set)


def code_digest(*functions: Any) -> str:
    """Return the SHA-256, in hex, of what functions do; the same on every machine."""
    digester = _Digester()
    for function in functions[:1]:
        digester.within(inspect.unwrap(function) if callable(function) else function)
    for function in functions:
        digester.add(function)
    return digester.hexdigest()


def stated_fields(struct: msgspec.Struct) -> dict[str, Any]:
    """Return a Struct's fields but for those that have their default: a later one changes nothing.

    A default that is made anew for each instance counts as stated.
    """
    return {
        field.name: getattr(struct, field.name)
        for field in msgspec.structs.fields(struct)
        if getattr(struct, field.name) is not field.default
    }


class _Digester:
    """Walks from functions to whatever they use, each thing once."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()
        self._seen: set[Any] = set()
        self._scope = ""

    def hexdigest(self) -> str:
        return self._sum.hexdigest()

    def within(self, first: Any) -> None:
        """Take the package of the first function for the one whose code counts."""
        module = getattr(first, "__module__", None)
        if isinstance(module, str):
            self._within(module)

    def add(self, value: Any) -> None:
        """Add one thing that code refers to, as it is."""
        if isinstance(value, functools.partial):
            self._say("partial")
            self._add_all((value.func, *value.args, *sorted(value.keywords.items())))
        elif isinstance(value, types.MethodType):
            self._add_all((value.__func__, value.__self__))
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, type):
            self._add_class(value)
        elif callable(value) and hasattr(value, "__wrapped__"):  # of functools.cache
            self.add(value.__wrapped__)
        elif isinstance(value, _CONTAINERS):
            self._add_container(value)
        else:
            self._add_object(value)

    def _add_container(self, value: Any) -> None:
        if isinstance(value, Mapping):
            self._say("mapping")
            for key, item in sorted(value.items(), key=lambda pair: repr(pair[0])):
                self._add_all((key, item))
        elif isinstance(value, frozenset | set):
            self.add(sorted(self._apart(one) for one in value))
        else:
            self._say("list" if isinstance(value, deque) else type(value).__name__)
            self._add_all(value)

    def _add_object(self, value: Any) -> None:
        if isinstance(value, PurePath):
            self._say("path")  # it says where code is, not what it does
            return
        if isinstance(value, Enum | msgspec.Struct) or self._within(type(value).__module__):
            self._add_class(type(value))
        if isinstance(value, Enum):
            self._say(str(value.name))
            self.add(value.value)
        elif isinstance(value, msgspec.Struct):
            self.add(stated_fields(value))
        elif dataclasses.is_dataclass(value):
            self.add({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
        else:
            self._say(_constant(value))

    def _apart(self, value: Any) -> str:
        one = _Digester()
        one._scope = self._scope
        one.add(value)
        return one.hexdigest()

    def _add_all(self, values: Iterable[Any]) -> None:
        for value in values:
            self.add(value)

    def _say(self, text: str) -> None:
        self._sum.update(text.encode() + b"\0")

    def _within(self, module: str) -> bool:
        scope = _scope(module)
        if not self._scope and scope not in sys.stdlib_module_names:
            self._scope = scope
        return scope == self._scope

    def _once(self, thing: Any) -> bool:
        if thing in self._seen:
            return False
        self._seen.add(thing)
        return True

    def _add_function(self, function: types.FunctionType) -> None:
        self._say(f"function {function.__qualname__}")
        module = str(function.__globals__.get("__name__", ""))
        if not self._within(module):  # another package's decorator: what it decorates counts
            self.add(getattr(function, "__wrapped__", None))
            registry = getattr(function, "registry", None)
            if isinstance(registry, Mapping):  # of functools.singledispatch
                self.add(registry)
            return
        if not self._once(id(function)):
            return
        code = function.__code__
        nodes = definitions_in(code.co_filename).functions.get((code.co_firstlineno, code.co_name))
        for cell in function.__closure__ or ():
            try:
                self.add(cell.cell_contents)
            except ValueError:  # not filled yet
                continue
        defaults = [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
        self._add_all(one for one in defaults if callable(one) or isinstance(one, _PLAIN))
        if nodes:
            self._add_nodes(nodes, function.__globals__, module)
        else:  # compiled, or typed in: its constants and names are all there is
            self._add_code(code, function.__globals__, module)

    def _add_class(self, cls: type[Any]) -> None:
        self._say(f"class {cls.__qualname__}")
        if not self._within(cls.__module__) or not self._once(id(cls)):
            return
        nodes = definitions_of(cls.__module__).classes.get(cls.__qualname__)
        if nodes:
            self._add_nodes(nodes, vars(sys.modules[cls.__module__]), cls.__module__)
            return
        self._add_all(base for base in cls.__bases__ if base is not object)
        self._say(repr(sorted((n, str(t)) for n, t in inspect.get_annotations(cls).items())))
        self._say(repr(getattr(cls, "__struct_defaults__", ())))
        for _, member in sorted(vars(cls).items()):
            function = getattr(member, "__func__", getattr(member, "fget", member))
            if isinstance(function, types.FunctionType):
                self.add(function)

    def _add_nodes(self, nodes: list[ast.AST], namespace: Mapping[str, Any], module: str) -> None:
        """Add pieces of a module's text, and whatever they name."""
        names: set[str] = set()
        attributes: dict[tuple[str, str], types.ModuleType] = {}
        for node in nodes:
            self._say(canonical(node))
            for part in ast.walk(node):
                if isinstance(part, ast.ImportFrom):
                    self._add_imported(part, namespace)
                if isinstance(part, ast.Name):
                    names.add(part.id)
                elif isinstance(part, ast.Attribute):
                    owner = _module_of(part.value, namespace)
                    if owner is not None:
                        attributes[owner.__name__, part.attr] = owner
        for name in sorted(names):
            self._add_name(name, namespace, module)
        for (owner_name, name), owner in sorted(attributes.items(), key=lambda pair: pair[0]):
            if self._within(owner_name):
                self._add_name(name, vars(owner), owner_name)

    def _add_imported(self, part: ast.ImportFrom, namespace: Mapping[str, Any]) -> None:
        package = str(namespace.get("__package__") or "")
        origin = "." * part.level + (part.module or "")
        origin = resolve_name(origin, package) if part.level else origin
        if self._within(origin):
            for alias in part.names:
                self._add_name(alias.name, vars(importlib.import_module(origin)), origin)

    def _add_name(self, name: str, namespace: Mapping[str, Any], module: str) -> None:
        if name in ("__file__", "__path__", "__cached__", "__spec__", "__builtins__"):
            return
        if name not in namespace or not self._once((module, name)):
            return
        value = namespace[name]
        if isinstance(value, types.ModuleType):
            return
        if isinstance(value, (*_PLAIN, types.FunctionType, type)) or hasattr(value, "__wrapped__"):
            self.add(value)
            return
        definitions = definitions_of(module)
        if name in definitions.assigned:
            self._add_nodes(definitions.assigned[name], namespace, module)
        elif name in definitions.imported:
            origin, level, its_name = definitions.imported[name]
            package = str(namespace.get("__package__") or "")
            origin = resolve_name("." * level + origin, package) if level else origin
            self._say(f"{origin}.{its_name}")
            if self._within(origin) and origin in sys.modules:
                self._add_name(its_name, vars(sys.modules[origin]), origin)
        else:
            self.add(value)

    def _add_code(self, code: types.CodeType, namespace: Mapping[str, Any], module: str) -> None:
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._add_code(constant, namespace, module)
            else:
                self._say(repr(constant))
        for name in sorted(code.co_names):
            self._say(name)
            self._add_name(name, namespace, module)


def _module_of(node: ast.expr, namespace: Mapping[str, Any]) -> types.ModuleType | None:
    """Return the module that an expression names, where it names one."""
    value: Any = None
    if isinstance(node, ast.Name):
        value = namespace.get(node.id)
    elif isinstance(node, ast.Attribute):
        value = getattr(_module_of(node.value, namespace), node.attr, None)
    return value if isinstance(value, types.ModuleType) else None


def _scope(module: str) -> str:
    """Return the package whose code counts as one domain's."""
    parts = module.split(".")
    return ".".join(parts[: 2 if parts[0] in _OURS else 1])


def _constant(value: Any) -> str:
    if isinstance(value, re.Pattern):
        return f"pattern {value.pattern!r} {value.flags}"
    if isinstance(value, Context):  # its flags say what was calculated so far
        value = value.copy()
        value.clear_flags()
    text = repr(value)
    # An address in memory says nothing.
    return f"{type(value).__module__}.{type(value).__qualname__}" if " at 0x" in text else text
