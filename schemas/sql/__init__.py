"""SQL of the control tables, which the shim's control connection and the projector share."""

from functools import cache
from importlib.resources import files


@cache
def statement(name: str) -> str:
    """Return the text of `<name>.sql` in this package."""
    return files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
