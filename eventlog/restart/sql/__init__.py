"""SQL of a restart from the tables."""

from functools import cache
from importlib.resources import files

from psycopg import sql


@cache
def query(name: str) -> sql.SQL:
    """Return `<name>.sql` of this package as a statement or template."""
    text = files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text)
