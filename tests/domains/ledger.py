"""A small domain of accounts and meter readings: one kind in a dict, one in ring buffers."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from schemas.domain import Domain, Kind, TransitionRefused
from schemas.tables import Change, Delete, Insert, Patch, Row, Table, Upsert

Utc = Annotated[datetime, msgspec.Meta(tz=True)]
ACCOUNTS = Table("accounts", ("account", "owner", "balance", "opened_at", "tags"), ("account",))
READINGS = Table("readings", ("meter", "number", "value"), ("meter", "number"), windowed=True)


class Account(msgspec.Struct, frozen=True):
    account: str
    owner: str
    balance: Decimal
    opened_at: Utc
    tags: dict[str, str] = {}


class AccountOpened(msgspec.Struct, frozen=True):
    account: str
    owner: str
    opened_at: Utc
    tags: dict[str, str] = {}


class AmountDeposited(msgspec.Struct, frozen=True):
    account: str
    amount: Decimal
    balance: Decimal


class AccountClosed(msgspec.Struct, frozen=True):
    account: str


class AccountSnapshotted(msgspec.Struct, frozen=True):
    account: str
    state: Account


def _evolve_account(present: Account | None, event: msgspec.Struct) -> Account | None:
    match event:
        case AccountSnapshotted():
            return event.state
        case AccountOpened() if present is None:
            return Account(event.account, event.owner, Decimal(0), event.opened_at, event.tags)
        case AmountDeposited() if present and present.balance + event.amount == event.balance:
            return msgspec.structs.replace(present, balance=event.balance)
        case AccountClosed() if present is not None:
            return None
    raise TransitionRefused(f"{type(event).__name__} does not follow {present}")


def _account_row(a: Account) -> Row:
    return (a.account, a.owner, a.balance, a.opened_at, a.tags)


def _project_account(event: msgspec.Struct) -> tuple[Change, ...]:
    match event:
        case AccountSnapshotted():
            return (Upsert(ACCOUNTS, _account_row(event.state)),)
        case AccountOpened():
            account = _evolve_account(None, event)
            assert account is not None
            return (Insert(ACCOUNTS, _account_row(account)),)
        case AmountDeposited():
            return (Patch(ACCOUNTS, (event.account,), {"balance": event.balance}),)
        case AccountClosed():
            return (Delete(ACCOUNTS, (event.account,)),)
    raise AssertionError(event)


class Reading(msgspec.Struct, frozen=True):
    meter: str
    number: int
    value: Decimal


class ReadingTaken(msgspec.Struct, frozen=True):
    meter: str
    number: int
    value: Decimal


class ReadingSnapshotted(msgspec.Struct, frozen=True):
    meter: str
    number: int
    value: Decimal


def _evolve_reading(present: Reading | None, event: Reading) -> Reading:
    if present is not None:
        raise TransitionRefused(f"reading {event.number} of {event.meter} was taken before")
    return Reading(event.meter, event.number, event.value)


def _project_reading(event: Reading) -> tuple[Change, ...]:
    return (Upsert(READINGS, (event.meter, event.number, event.value)),)


ACCOUNT = Kind(
    name="account",
    entity=Account,
    events={
        "ledger.account.opened.v1": AccountOpened,
        "ledger.account.deposited.v1": AmountDeposited,
        "ledger.account.closed.v1": AccountClosed,
        "ledger.account.snapshotted.v1": AccountSnapshotted,
    },
    key=("account",),
    stream=("account",),
    evolve=_evolve_account,
    project=_project_account,
    rows=lambda a: ((ACCOUNTS, _account_row(a)),),
    snapshot=lambda a: AccountSnapshotted(a.account, a),
    tables=(ACCOUNTS,),
)
READING = Kind(
    name="reading",
    entity=Reading,
    events={
        "ledger.reading.taken.v1": ReadingTaken,
        "ledger.reading.snapshotted.v1": ReadingSnapshotted,
    },
    key=("meter", "number"),
    stream=("meter",),
    evolve=_evolve_reading,
    project=_project_reading,
    rows=lambda r: ((READINGS, (r.meter, r.number, r.value)),),
    snapshot=lambda r: ReadingSnapshotted(r.meter, r.number, r.value),
    tables=(READINGS,),
)
DOMAIN = Domain(
    "ledger",
    (ACCOUNT, READING),
    """
    CREATE TABLE accounts (
        account text PRIMARY KEY, owner text NOT NULL,
        balance numeric NOT NULL CHECK (balance >= 0), opened_at timestamptz NOT NULL,
        tags jsonb NOT NULL
    );
    CREATE TABLE readings (
        meter text, number bigint, value numeric NOT NULL, PRIMARY KEY (meter, number)
    );
    """,
)
