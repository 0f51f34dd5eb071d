"""What every phase is: four steps, each of which can be done again after a kill."""

from abc import ABC, abstractmethod

from projector.migration.context import Context
from projector.parked import EventsParked, require_nothing_parked
from schemas.errors import FerryError


class GateClosed(FerryError):
    """A phase ended without what the next one needs: the migration is undone."""


class Phase(ABC):
    """One phase. A run that was killed is begun again at the phase it was in, from `enter`.

    All effects go through `run.effects`: a dry run has the same phases and other effects.
    """

    name: str

    @abstractmethod
    async def enter(self, run: Context) -> None:
        """Check and prepare what the work needs."""

    @abstractmethod
    async def work(self, run: Context) -> None:
        """Do it."""

    @abstractmethod
    async def gate(self, run: Context) -> str:
        """Return in a few words what was found; raises GateClosed where it must not go on."""

    @abstractmethod
    async def undo(self, run: Context) -> None:
        """Take back what must not stay where the migration does not come to its end."""


def require_unparked(run: Context) -> None:
    """Check that no stream waits behind a parked event; raises GateClosed."""
    try:
        require_nothing_parked(
            run.conn, run.projection, "reads would miss what the log has of them"
        )
    except EventsParked as error:
        raise GateClosed(error.what, where=error.where, remedy=error.remedy) from error
