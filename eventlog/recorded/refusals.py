"""Why a change of a recorded collection is refused; memory has not changed then."""

from schemas.errors import FerryError


class Unwatchable(FerryError):
    """A value's changes could not be seen, so it may not be part of a recorded collection."""


class OwnedElsewhere(FerryError):
    """A value that can change is at another place already; one change would be two facts."""


class KeyDiffers(FerryError):
    """An entity's key is not the key under which it is, or is to be, filed."""
