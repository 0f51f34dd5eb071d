"""How a rebuild ends that did not reach its position; what was committed stays."""

from schemas.errors import FerryError


class ReplayIncomplete(FerryError):
    """The replay did not reach its target; the projection stays `rebuilding`."""


class WorkerDied(FerryError):
    """A process that worked on a share of a rebuild ended without saying why."""


class WorkerHindered(FerryError):
    """Something passing was in a worker's way: Kafka or PostgreSQL was away."""
