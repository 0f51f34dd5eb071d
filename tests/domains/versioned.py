"""A small domain whose events have changed: what was written as v1 and v2 is read as v3."""

from decimal import Decimal

import msgspec

from schemas.domain import Domain, Kind
from schemas.tables import Change, Insert, Table
from schemas.upcasting import Upcaster

FEES = Table("fees", ("fee", "amount", "currency", "reason"), ("fee",))


class Fee(msgspec.Struct, frozen=True):
    fee: str
    amount: Decimal
    currency: str
    reason: str


class FeeCharged(msgspec.Struct, frozen=True):
    """As of today: with its reason."""

    fee: str
    amount: Decimal
    currency: str
    reason: str


class FeeChargedV2(msgspec.Struct, frozen=True):
    """Until a reason was asked for."""

    fee: str
    amount: Decimal
    currency: str


class FeeChargedV1(msgspec.Struct, frozen=True):
    """When there was one currency only, and amounts were cents."""

    fee: str
    cents: int


class FeeSnapshotted(msgspec.Struct, frozen=True):
    fee: str
    amount: Decimal
    currency: str
    reason: str


def _with_currency(event: FeeChargedV1) -> FeeChargedV2:
    return FeeChargedV2(event.fee, Decimal(event.cents) / 100, "USD")


def _with_reason(event: FeeChargedV2) -> FeeCharged:
    return FeeCharged(event.fee, event.amount, event.currency, "not said")


def _evolve(fee: Fee | None, event: FeeCharged | FeeSnapshotted) -> Fee:
    return Fee(event.fee, event.amount, event.currency, event.reason)


def _project(event: FeeCharged | FeeSnapshotted) -> tuple[Change, ...]:
    return (Insert(FEES, (event.fee, event.amount, event.currency, event.reason)),)


KIND = Kind(
    name="fee",
    entity=Fee,
    events={
        "versioned.fee.charged.v3": FeeCharged,
        "versioned.fee.snapshotted.v1": FeeSnapshotted,
    },
    upcasters={
        "versioned.fee.charged.v1": Upcaster(
            FeeChargedV1, "versioned.fee.charged.v2", _with_currency
        ),
        "versioned.fee.charged.v2": Upcaster(
            FeeChargedV2, "versioned.fee.charged.v3", _with_reason
        ),
    },
    key=("fee",),
    stream=("fee",),
    evolve=_evolve,
    project=_project,
    rows=lambda fee: ((FEES, (fee.fee, fee.amount, fee.currency, fee.reason)),),
    snapshot=lambda fee: FeeSnapshotted(fee.fee, fee.amount, fee.currency, fee.reason),
    tables=(FEES,),
)
DOMAIN = Domain(
    "versioned",
    (KIND,),
    """
    CREATE TABLE fees (
        fee text PRIMARY KEY, amount numeric NOT NULL, currency text NOT NULL,
        reason text NOT NULL
    );
    """,
)
