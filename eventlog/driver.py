"""psycopg, which the base install goes without: loaded where something needs the database."""

from types import ModuleType

from schemas.errors import FerryError


class DriverMissing(FerryError):
    """psycopg is not installed."""


def load_driver(cause: str) -> ModuleType:
    """Return the module psycopg; raises DriverMissing, naming what needs it."""
    try:
        import psycopg  # noqa: PLC0415  (an extra: the base install goes without)
    except ImportError as error:
        raise DriverMissing(
            f"{cause}, but psycopg is not installed",
            remedy="pip install 'memferry[control]', or leave `postgres.dsn` out",
        ) from error
    return psycopg
