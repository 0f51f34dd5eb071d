"""What an app is told when its reads go to PostgreSQL and PostgreSQL does not answer."""

from schemas.errors import FerryError


class ReadUnavailable(FerryError):
    """The tables could not be read. Memory is not asked in their place: nobody decided that."""
