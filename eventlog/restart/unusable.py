"""Why memory cannot come back from the tables."""

from schemas.errors import FerryError


class TablesUnusable(FerryError):
    """A kind's memory cannot be told from the tables."""
