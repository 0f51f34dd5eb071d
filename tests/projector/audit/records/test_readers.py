"""Records of one app, read from its memory, the log and the tables: the same entities."""

from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.records.log import read_log
from projector.audit.records.memory import read_memory
from projector.audit.records.record import Record
from projector.audit.records.tables import read_tables
from schemas import envelope
from schemas.domain import Domain
from schemas.settings import Settings
from tests.domains.ledger import ACCOUNT, DOMAIN
from tests.projector.app import App, accounts_in
from tests.projector.audit.conftest import Live
from tests.projector.broker import Broker
from tests.projector.projecting import ends, project

A, B, C = accounts_in(1, 3)
Entities = dict[tuple[str, str], Any]


async def from_log(settings: Settings, domain: Domain = DOMAIN) -> list[Record]:
    found: list[Record] = []
    position = await read_log(settings, domain, found.append)
    there = await ends(settings)
    assert position == ",".join(f"{p}:{o}" for p, o in sorted(there.items()))
    return found


def from_tables(settings: Settings) -> list[Record]:
    found: list[Record] = []
    read_tables(settings, DOMAIN, found.append)
    return found


def entities(records: list[Record]) -> Entities:
    return {
        (r.kind.name, r.key): r.entity
        for r in records
        if r.kind is not None and not r.step and not r.error
    }


def errors(records: list[Record]) -> list[tuple[str, str, str, str]]:
    return [(r.fault, r.place, r.key, r.error) for r in records if r.error]


@pytest.mark.usefixtures("projector")
async def test_memory_log_and_tables_give_the_same_entities(live: Live, settings: Settings) -> None:
    from asyncio import to_thread

    in_memory: list[Record] = []
    sources = await to_thread(read_memory, settings, DOMAIN, in_memory.append, 10)
    in_log = await from_log(settings)
    in_tables = await to_thread(from_tables, settings)

    held = entities(in_memory)
    assert sources == "app-1"
    assert held == {("account", name): live.accounts[name] for name in "abcd"} | {
        ("reading", f"m-0/{r.number}"): r for r in live.readings["m-0"]
    }
    assert entities(in_log) == entities(in_tables)
    assert held.items() <= entities(in_log).items()
    assert len(entities(in_log)) == 4 + 5
    assert errors(in_log) == errors(in_tables) == errors(in_memory) == []


async def test_the_log_gives_each_event_as_a_step_from_the_entity_before_it(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    app.deposit(A, 2)
    app.deposit(A, 3)
    app.end(A)
    broker.publish(topic, app.rows())

    found = await from_log(topic)

    steps = [record for record in found if record.step]
    balances = [
        (None if s.before is None else int(s.before.balance),
         None if s.entity is None else int(s.entity.balance))
        for s in steps
    ]  # fmt: skip
    assert balances == [(None, 0), (0, 2), (2, 5), (5, None)]
    assert [s.place for s in steps] == [f"partition 1, offset {n}" for n in range(4)]
    assert {s.key for s in steps} == {A}
    assert entities(found) == {}


def altered(first: bytes, second: bytes, **changes: Any) -> bytes:
    changed = msgspec.json.decode(second) | {"chain": envelope.digest(first)} | changes
    return msgspec.json.encode(changed)


async def test_what_cannot_be_read_is_given_with_its_error_and_reading_goes_on(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A, B, C)
    one, two, three = (row.event for row in app.rows() if row.partition == 1)
    unknown = altered(one, two, type="ledger.account.sold.v1")
    misfit = altered(unknown, three, data={"account": 5})
    broker.publish(topic, [row for row in app.rows() if row.partition != 1])
    broker.send(topic, 1, [one, unknown, misfit])

    found = await from_log(topic)

    (first, second) = errors(found)
    assert first[:3] == ("unknown_type", "partition 1, offset 1", f"account/{B}")
    assert "ledger.account.sold.v1" in first[3]
    assert second[:3] == ("unreadable", "partition 1, offset 2", f"account/{C}")
    assert "Expected `str`" in second[3]
    assert entities(found).keys() == {("account", A)}


@pytest.mark.parametrize(
    ("drop", "fault", "what"),
    [
        (1, "lost", "events 2 to 2 are missing from the log"),
        (None, "broken_chain", "does not continue event 1"),
    ],
)
async def test_a_log_that_does_not_continue_is_given_as_an_error_of_its_place(
    app: App, broker: Broker, topic: Settings, drop: int | None, fault: str, what: str
) -> None:
    app.open(A, B, C)
    rows = [row.event for row in app.rows() if row.partition == 1]
    if drop is None:
        changed = msgspec.json.decode(rows[0])
        changed["data"]["owner"] = "Eve"
        rows[0] = msgspec.json.encode(changed)
    else:
        del rows[drop]
    broker.publish(topic, [row for row in app.rows() if row.partition != 1])
    broker.send(topic, 1, rows)

    (found,) = errors(await from_log(topic))

    assert found[0] == fault
    assert what in found[3]
    assert "nothing behind it was read" in found[3]
    assert "partition 1, offset 1" in found[1]


async def test_what_the_domain_refused_is_a_step_that_changed_nothing(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    app.deposit(A, 1)
    one, two = (row.event for row in app.rows() if row.partition == 1)
    refused = altered(one, two, data={"account": A, "amount": "1", "balance": "77"})
    broker.publish(topic, [row for row in app.rows() if row.partition != 1])
    broker.send(topic, 1, [one, refused])

    found = await from_log(topic)

    last = [record for record in found if record.step][-1]
    assert last.before == last.entity
    assert last.event.balance == 77
    assert errors(found) == []


async def test_a_table_that_nobody_has_is_given_as_an_error(
    app: App, broker: Broker, topic: Settings, database: psycopg.Connection[Any]
) -> None:
    app.open(A)
    broker.publish(topic, app.rows())
    await project(topic)
    name = topic.projection
    database.execute(f"CREATE TABLE {name}.forgotten (id int)")

    found = from_tables(topic)

    ((fault, place, key, what),) = errors(found)
    assert (fault, place, key) == ("forgotten", "table forgotten", "")
    assert what == "no kind of the domain has table forgotten: nobody looks at its rows"
    assert entities(found).keys() == {("account", A)}


async def test_a_kind_that_the_domain_lost_is_named_type_by_type(
    app: App, broker: Broker, topic: Settings
) -> None:
    app.open(A)
    app.read("m", 1)
    broker.publish(topic, app.rows())

    found = await from_log(topic, Domain("ledger", (ACCOUNT,), DOMAIN.ddl))

    ((fault, _, key, what),) = errors(found)
    assert (fault, key) == ("unknown_type", "reading/m")
    assert "ledger.reading.taken.v1" in what
