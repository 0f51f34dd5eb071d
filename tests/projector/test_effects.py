from decimal import Decimal
from typing import Any

import msgspec
import pytest

from projector.effects import Effects
from projector.lanes import open_record
from schemas.tables import Insert
from tests.domains.ledger import ACCOUNTS, DOMAIN
from tests.projector.app import OPENED, App, accounts_in, record, records

(A,) = accounts_in(0, 1)


def opened(app: App) -> bytes:
    app.open(A)
    (found,) = records(app.rows(), "log.1")[0]
    return bytes(found.value or b"")


def test_a_record_is_read_in_one_go_as_it_is_read_in_two(app: App) -> None:
    value, effects = opened(app), Effects(DOMAIN)

    found = effects.read(value)
    _, event, seq = open_record(record("log.1", 0, 0, value))

    assert found is not None
    assert int(found.seq) == seq == 1
    assert effects.apply(found) == effects.of(event)
    assert effects.of(event) == (Insert(ACCOUNTS, (A, "Ada", Decimal(0), OPENED, {})),)
    for name in ("id", "source", "subject", "time", "epoch", "chain"):
        assert getattr(found, name) == getattr(event, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"specversion": "1.1"},
        {"type": "ledger.account.sold.v1"},
        {"type": "ledger.account.closed.v2"},
        {"seq": "one"},
        {"seq": " 1"},
        {"seq": "1" * 5_000},
        {"seq": 1},
        {"chain": None},
        {"data": {"account": 5}},
    ],
)
def test_whatever_is_not_as_it_should_be_is_left_to_the_closer_look(
    app: App, changes: dict[str, Any]
) -> None:
    value = msgspec.json.encode(msgspec.json.decode(opened(app)) | changes)

    assert Effects(DOMAIN).read(value) is None


def test_a_text_that_looks_like_a_type_is_not_taken_for_one(app: App) -> None:
    content = msgspec.json.decode(opened(app))
    lure = '","type":"ledger.account.closed.v1","subject":"'
    value = msgspec.json.encode(
        {"specversion": "1.0", "id": lure} | content | {"id": lure, "data": content["data"]}
    )

    effects = Effects(DOMAIN)
    found = effects.read(value)

    assert found is not None
    assert effects.apply(found) == (Insert(ACCOUNTS, (A, "Ada", Decimal(0), OPENED, {})),)


@pytest.mark.parametrize("value", [None, b"", b"\xff", b'","type":"' * 20, b"[" * 100_000])
def test_garbage_is_left_to_the_closer_look(value: bytes | None) -> None:
    assert Effects(DOMAIN).read(value) is None


def test_records_of_sources_with_names_of_any_length_are_read(app: App) -> None:
    value, effects = opened(app), Effects(DOMAIN)

    for source in ("a", "a-much-longer-name", "app-1"):
        other = value.replace(b'"source":"app-1"', b'"source":"%b"' % source.encode())
        found = effects.read(other)
        assert found is not None
        assert found.source == source
