"""Replays as tests ask for them."""

from collections.abc import Mapping

from projector.replay.replaying import Replayed, Way, replay
from projector.replay.target import Target
from schemas.domain import Domain
from schemas.position import format_offsets
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN


async def replay_to(
    settings: Settings,
    position: Mapping[int, int],
    way: Way = "in_place",
    domain: Domain = DOMAIN,
) -> Replayed:
    """Replay to a position, and hold there."""
    return await replay(settings, domain, Target(offset=format_offsets(position)), way=way)


async def replay_to_end(
    settings: Settings, way: Way = "in_place", domain: Domain = DOMAIN
) -> Replayed:
    """Replay everything, and go on."""
    return await replay(settings, domain, Target(end=True), way=way)
