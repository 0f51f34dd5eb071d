"""A sample of `make audit-power`: a few positions of every way of tampering in every place."""

import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack import Stack
from tests.journeys.tampering.campaign import Campaign
from tests.journeys.tampering.cases import KINDS, PLACES, Judged, cases

_EVENTS = 600
_EACH = 2
_SEED = 1


@pytest.fixture
def campaign(stack: Stack, tmp_path: Path) -> Iterator[Campaign]:
    endpoints = stack.endpoints()
    assert endpoints is not None
    campaign = Campaign(endpoints, tmp_path, f"t{secrets.token_hex(5)}", _EVENTS)
    yield campaign
    campaign.close()


async def judged(campaign: Campaign, *places: str) -> list[Judged]:
    """Try each kind in these places; whatever an audit finds between is raised."""
    found: list[Judged] = []
    await campaign.run(_EACH, _SEED, places, found.append)
    assert Counter((one.case.place, one.case.kind) for one in found) == {
        (place, kind): _EACH for place in places for kind in KINDS
    }
    return found


@pytest.mark.parametrize("places", [("kafka",), ("outbox", "postgres", "memory")])
async def test_every_tampering_is_found_and_its_place_is_named(
    campaign: Campaign, places: tuple[str, ...]
) -> None:
    found = await judged(campaign, *places)

    assert [one for one in found if not one.found] == []
    assert [one for one in found if not one.located] == []


def test_a_case_is_the_same_again_by_its_seed_and_number() -> None:
    for place in PLACES:
        some = cases(place, KINDS, 3, 7)
        drawn = [case.draw().random() for case in some]

        assert drawn == [case.draw().random() for case in cases(place, KINDS, 3, 7)]
        assert len(set(drawn)) == len(some)
