"""How a kind refuses an event that may not follow its entity's state."""

import msgspec

from schemas.domain import TransitionRefused
from schemas.tables import MONTHS_BEGIN, MONTHS_END

NO_MONTH = (
    f"send a time of the years {MONTHS_BEGIN.year} to {MONTHS_END.year - 1}: are its units right?"
)


def refusal(stream: str, state: str, event: msgspec.Struct, remedy: str) -> TransitionRefused:
    """Return the error that names the entity's stream, its state, the event and the next step."""
    return TransitionRefused(
        f"{type(event).__name__} cannot follow: {stream} is {state}", where=stream, remedy=remedy
    )
