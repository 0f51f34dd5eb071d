from dataclasses import replace
from decimal import Decimal

import msgspec
import pytest

from schemas.upcasting import Upcaster, VersionsInvalid
from tests.domains.versioned import (
    DOMAIN,
    KIND,
    FeeCharged,
    FeeChargedV1,
    FeeSnapshotted,
)


@pytest.mark.parametrize(
    ("version", "data", "event"),
    [
        (1, {"fee": "f", "cents": 250}, FeeCharged("f", Decimal("2.5"), "USD", "not said")),
        (2, {"fee": "f", "amount": "3", "currency": "EUR"},
         FeeCharged("f", Decimal(3), "EUR", "not said")),
        (3, {"fee": "f", "amount": "3", "currency": "EUR", "reason": "late"},
         FeeCharged("f", Decimal(3), "EUR", "late")),
    ],
)  # fmt: skip
def test_every_version_is_read_as_the_event_of_today(
    version: int, data: object, event: FeeCharged
) -> None:
    reader = DOMAIN.readers[f"versioned.fee.charged.v{version}"]

    assert reader.read(msgspec.json.encode(data)) == event
    assert reader.kind is KIND


def test_only_the_newest_version_is_written() -> None:
    assert set(DOMAIN.by_type) == {"versioned.fee.charged.v3", "versioned.fee.snapshotted.v1"}


def step(event: object) -> object:
    return event


@pytest.mark.parametrize(
    ("upcasters", "said"),
    [
        ({"versioned.fee.charged.v3": "versioned.fee.charged.v4"}, "an earlier version"),
        ({"versioned.fee.charged.v1": "versioned.fee.charged.v2"}, "none of its events"),
        ({"versioned.fee.charged.v4": "versioned.fee.charged.v3"}, "no later version"),
        ({"versioned.fee.charged.v2": "versioned.fee.charged.v2"}, "no later version"),
        ({"versioned.fee.charged.v1": "versioned.fee.charged.v2",
          "versioned.fee.charged.v2": "versioned.fee.charged.v1"}, "no later version"),
        ({"versioned.fee.paid.v1": "versioned.fee.charged.v3"}, "no versions of one event"),
        ({"versioned.fee.charged": "versioned.fee.charged.v3"}, "no versions of one event"),
    ],
)  # fmt: skip
def test_versions_that_do_not_lead_to_an_event_are_refused(
    upcasters: dict[str, str], said: str
) -> None:
    made = {name: Upcaster(FeeChargedV1, to, step) for name, to in upcasters.items()}

    with pytest.raises(VersionsInvalid, match=said):
        replace(KIND, upcasters=made)


@pytest.mark.parametrize("name", ["fee.charged", "fee.charged.v0", "fee.charged.v01", ".v1"])
def test_an_event_type_without_a_version_is_refused(name: str) -> None:
    with pytest.raises(VersionsInvalid, match="has no version"):
        replace(KIND, events={name: FeeCharged}, upcasters={})


def test_another_kinds_type_is_refused() -> None:
    other = replace(
        KIND,
        name="other",
        events={"versioned.fee.charged.v5": FeeSnapshotted},
        upcasters={
            "versioned.fee.charged.v1": Upcaster(FeeChargedV1, "versioned.fee.charged.v5", step)
        },
        tables=(),
    )

    with pytest.raises(Exception, match=r"versioned\.fee\.charged\.v1 is declared by two kinds"):
        type(DOMAIN)(
            "two", (replace(KIND, events={"versioned.fee.charged.v3": FeeCharged}), other), ""
        )
