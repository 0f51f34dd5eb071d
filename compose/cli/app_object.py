"""An app object named on the command line, imported into this process."""

import importlib
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from schemas.errors import FerryError


class AppNotFound(FerryError):
    """A name leads to no object that can be imported."""


def load_app(name: str) -> Any:
    """Return the object that `module:attribute` names; a function is called for it.

    The present directory is looked into, as `python -m` does.
    Raises: AppNotFound; whatever the module or function raises of its own.
    """
    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise AppNotFound(f"{name!r} is no module:attribute", remedy="e.g. --app desk.main:app")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        value: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise AppNotFound(
            f"the module {module_name!r} cannot be imported: {error}",
            where=f"--app {name}",
            remedy="run the command where the app is started, or set PYTHONPATH",
        ) from error
    for attribute in attributes.split("."):
        try:
            value = getattr(value, attribute)
        except AttributeError as error:
            raise AppNotFound(
                f"there is no {attribute!r}: {error}",
                where=f"--app {name}",
                remedy="name the app object, or a function that returns it",
            ) from error
    return value() if isinstance(value, FunctionType) else value
