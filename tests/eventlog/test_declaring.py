"""Kinds declared in the app by an entity type alone: published once, refused where they changed."""

import dataclasses
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventlog.declaring import EntityUnknown, KindChanged
from eventlog.outbox.contract import OutboxRow
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.shim import Ferry
from schemas import envelope
from schemas.derived.describe import KindNotDerivable
from schemas.domain import Domain, DomainInvalid, load_domain
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Outbox, Settings
from schemas.validity import EventInvalid
from tests.domains.ledger import DOMAIN, Account
from tests.eventlog.app import DEADLINE_S, IDENTITY, account, rows_of
from tests.schemas.derived.entities import Position, Trade, position


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Ferry]]:
    """Start an app on the one outbox file, again after `close`."""
    ferries: list[Ferry] = []

    def make(domain: Domain | None = None) -> Ferry:
        path = tmp_path / "outbox.db"
        settings = Settings(
            source=IDENTITY.source, topic=IDENTITY.topic, outbox=Outbox(path=str(path))
        )
        ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), domain or load_domain(""))
        ferries.append(ferry)
        return ferry

    yield make
    for ferry in ferries:
        ferry.close(DEADLINE_S)


def declare(ferry: Ferry, cls: type = Position, stream: str = "position") -> None:
    ferry.entity(stream=stream, key="symbol")(cls)
    ferry.declarations.kind_of_entity(cls, f"{stream}s")


def declarations_in(rows: list[OutboxRow]) -> list[OutboxRow]:
    return [row for row in rows if b'"type":"memferry.kind.declared.v1"' in row.event]


def test_an_entity_type_alone_is_enough_to_record(start: Callable[..., Ferry]) -> None:
    ferry = start()
    declare(ferry)
    positions: dict[str, Position] = {}
    ferry.register("position", positions)

    ferry.record(ferry.domain.kind("position").snapshot(position())).durable(DEADLINE_S)

    assert positions == {"BTC": position()}
    events = [envelope.decode(row.event) for row in rows_of(Path(ferry.settings.outbox.path))]
    assert [event.type for event in events] == [
        "memferry.kind.declared.v1", "app.position.stated.v1",
    ]  # fmt: skip
    assert bytes(events[1].data) == msgspec.json.encode(position())


def test_a_kind_is_declared_before_its_first_event_and_once(start: Callable[..., Ferry]) -> None:
    first = start()
    declare(first)
    first.close(DEADLINE_S)

    second = start()
    declare(second)
    second.close(DEADLINE_S)

    (row,) = declarations_in(rows_of(Path(second.settings.outbox.path)))
    assert row.partition == CONTROL_PARTITION


def test_memory_comes_back_after_a_restart(start: Callable[..., Ferry]) -> None:
    first = start()
    declare(first)
    first.register("position", {"BTC": position(), "ETH": position("ETH", "2")})
    kind = first.domain.kind("position")
    first.record(kind.snapshot(position("BTC", "7")))
    first.record_snapshot("position", ["position/ETH"])
    first.close(DEADLINE_S)

    second = start()
    declare(second)
    positions: dict[str, Position] = {}
    second.register("position", positions)

    assert positions == {"BTC": position("BTC", "7"), "ETH": position("ETH", "2")}


def test_an_entity_type_that_changed_is_refused(start: Callable[..., Ferry]) -> None:
    @dataclasses.dataclass
    class Changed:
        symbol: str
        quantity: float

    first = start()
    declare(first)
    first.close(DEADLINE_S)
    second = start()

    with pytest.raises(
        KindChanged, match=r"quantity decimal.*now it is symbol text, quantity float"
    ):
        declare(second, Changed)

    assert not second.domain.kinds


def test_what_is_no_entity_is_refused(start: Callable[..., Ferry]) -> None:
    with pytest.raises(EntityUnknown, match="Position is no entity"):
        start().declarations.kind_of_entity(Position, "positions")


def test_a_type_that_no_table_can_hold_is_refused_at_its_class(start: Callable[..., Ferry]) -> None:
    @dataclasses.dataclass
    class Vague:
        symbol: str
        content: Any

    with pytest.raises(KindNotDerivable, match=r"Vague.content is of any type"):
        start().entity(stream="vague", key="symbol")(Vague)


def test_two_kinds_cannot_have_one_table(start: Callable[..., Ferry]) -> None:
    @dataclasses.dataclass
    class Other:
        symbol: str

    ferry = start()
    declare(ferry)
    ferry.entity(stream="other", key="symbol")(Other)

    with pytest.raises(KindChanged, match="table 'positions' is kind 'position''s in the log"):
        ferry.declarations.kind_of_entity(Other, "positions")

    assert len(declarations_in(rows_of_durable(ferry))) == 1


def test_a_table_of_the_log_is_not_given_to_another_kind_by_a_later_run(
    start: Callable[..., Ferry],
) -> None:
    first = start()
    declare(first)
    first.dict("limits", int)
    first.close(DEADLINE_S)
    second = start()
    second.entity(stream="limit", key="symbol")(Position)

    with pytest.raises(KindChanged, match="table 'limits' is kind 'limits''s in the log"):
        second.dict("limits", Position)

    assert len(declarations_in(rows_of_durable(second))) == 2


def rows_of_durable(ferry: Ferry) -> list[OutboxRow]:
    ferry.durable.wait(ferry.recorded_position(), DEADLINE_S)
    return rows_of(Path(ferry.settings.outbox.path))


def test_a_hand_written_kind_replaces_a_derived_one(start: Callable[..., Ferry]) -> None:
    ferry = start(DOMAIN)
    ferry.entity(stream="account", key="account")(Account)

    kind = ferry.declarations.kind_of_entity(Account, "accounts")

    assert kind is DOMAIN.kind("account")
    ferry.register("account", {"a": account("a")})
    assert not declarations_in(rows_of_durable(ferry))


def test_a_fact_is_recorded_and_kept_by_no_container(start: Callable[..., Ferry]) -> None:
    ferry = start()
    fact = ferry.event(stream="trade", key="trade_id")(Trade)

    ferry.record(fact("T-1", "BTC", Decimal("42000.10"))).durable(DEADLINE_S)

    assert ferry.stores()["trade"].streams() == []
    event = envelope.decode(rows_of_durable(ferry)[-1].event)
    assert (event.type, event.subject) == ("app.trade.recorded.v1", "trade/T-1")


def test_a_fact_that_no_table_takes_is_refused(start: Callable[..., Ferry]) -> None:
    ferry = start()
    ferry.event(stream="trade", key="trade_id")(Trade)

    with pytest.raises(EventInvalid, match="Trade cannot be kept"):
        ferry.record(Trade("T-1", "BTC", Decimal(1), 2**63))

    assert len(rows_of_durable(ferry)) == 1


def test_a_fact_that_may_change_is_refused(start: Callable[..., Ferry]) -> None:
    with pytest.raises(EntityUnknown, match="Position is no frozen Struct"):
        start().event(stream="position", key="symbol")(Position)


def test_a_fact_is_declared_once(start: Callable[..., Ferry]) -> None:
    ferry = start()
    ferry.event(stream="trade", key="trade_id")(Trade)

    with pytest.raises(DomainInvalid, match="kind 'trade' is there already"):
        ferry.event(stream="trade", key="trade_id")(Trade)

    ferry.record(Trade("T-1", "BTC", Decimal(1)))


def test_a_kind_of_a_hand_written_ones_name_is_refused(start: Callable[..., Ferry]) -> None:
    ferry = start(DOMAIN)
    ferry.entity(stream="account", key="symbol")(Position)

    with pytest.raises(DomainInvalid, match="kind 'account' is there already"):
        ferry.declarations.kind_of_entity(Position, "positions")
