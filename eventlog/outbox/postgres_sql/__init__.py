"""SQL of the PostgreSQL outbox: templates, for each outbox has a schema of its own."""

from functools import cache
from importlib.resources import files

from psycopg import sql


@cache
def query(name: str, schema: str) -> sql.Composed:
    """Return `<name>.sql` of this package for one outbox's schema."""
    text = files(__name__).joinpath(f"{name}.sql").read_text(encoding="utf-8")
    return sql.SQL(text).format(schema=sql.Identifier(schema))
