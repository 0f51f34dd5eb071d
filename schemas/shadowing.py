"""memferry's packages have plain names; a user's own package of such a name would take its place.

Run by path from each package's `__init__`, before it imports another of ours.
"""

import importlib.util
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


class PackageShadowed(ImportError):
    """A package of the user's stands before one of memferry's on the path."""


def require_ours(*names: str) -> None:
    """Check that these names import memferry's own packages.

    Raises: PackageShadowed, naming the file that comes first and what to do.
    """
    for name in names:
        found = _place_of(name)
        if found is not None and found != _ROOT / name:
            raise PackageShadowed(
                f"memferry's package {name!r} is shadowed by {found}\n"
                f"  where: {_ROOT / name} comes later on sys.path\n"
                f"  next:  rename your {name!r}, or put it into a package of your own "
                f"(import app.{name})",
                name=name,
                path=str(found),
            )


def _place_of(name: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(name)
    except ValueError:  # made by hand, in sys.modules without a spec
        return None
    if spec is None:
        return None
    for place in spec.submodule_search_locations or ():
        return Path(place).resolve()
    return Path(spec.origin).resolve() if spec.origin else None
