"""Entities as the tables hold them: all five trading kinds, and kinds that cannot be read."""

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
import pytest

from eventlog.reads.database import Database
from eventlog.reads.question import Question, Questions
from eventlog.reads.tables import Tables
from projector.apply import Applier
from projector.control_tables import establish
from projector.fold import Fold
from schemas.domain import Kind
from schemas.entities import KindNotReadable
from schemas.settings import Settings
from schemas.tables import Table, Upsert
from schemas.trading import DOMAIN
from tests.compose.trading_app.trading import trade
from tests.domains import ledger
from tests.schemas.test_domain import kind
from tests.schemas.trading.histories import time_of

encode = msgspec.json.Encoder(order="deterministic").encode  # jsonb keeps no order of keys


def soon() -> float:
    return time.monotonic() + 10


@pytest.fixture
def reads(settings: Settings) -> Iterator[Database]:
    database = Database(
        settings.postgres.dsn,
        application_name="memferry reads app-1",
        connect_timeout_s=5,
        statement_timeout_s=5,
        connections=2,
    )
    yield database
    database.close(5)


def test_every_kind_of_a_desk_that_traded_comes_back_equal(
    settings: Settings, database: psycopg.Connection[Any], reads: Database
) -> None:
    recording = trade(900).desk.recording
    establish(database, settings, DOMAIN, 3)
    fold = Fold(DOMAIN.tables.values())
    for known in DOMAIN.kinds:
        for entity in recording.entities(known.name):
            for table, row in known.rows(entity):
                fold.add(Upsert(table, row))
    with database.transaction():
        Applier(database, settings.projection, DOMAIN.tables.values()).apply(fold)

    for known in DOMAIN.kinds:
        tables = Tables(known, settings.projection, reads)
        held = sorted(recording.entities(known.name), key=known.key_getter())
        assert tables.entities(Question({}), soon()) == held
        assert tables.count(soon()) == len(held) > 0
        newest = tables.entities(Question({}, limit=3, newest=True), soon())
        assert newest == held[-3:]
        key = known.key_getter()(held[1])
        assert tables.entities(Questions(known).one(key), soon()) == [held[1]]
        assert tables.entities(Questions(known).page(key, 2), soon()) == held[2:4]
        assert encode(newest) == encode(held[-3:])
    assert any(p.positions for p in recording.entities("portfolio"))


@pytest.mark.parametrize("known", DOMAIN.kinds, ids=lambda known: known.name)
def test_a_page_follows_the_index_of_its_key(
    known: Kind, settings: Settings, database: psycopg.Connection[Any], reads: Database
) -> None:
    establish(database, settings, DOMAIN, 3)
    for table in known.tables[:1]:
        for month in (1, 2) if table.months else ():
            name = f"{settings.projection}.{table.name}"
            database.execute(
                f"CREATE TABLE {name}_{month} PARTITION OF {name} "
                f"FOR VALUES FROM ('1970-0{month}-01Z') TO ('1970-0{month + 1}-01Z')"
            )
    tables = Tables(known, settings.projection, reads)
    key = ("A", time_of(0))[: len(known.key)]
    tables.entities(Question({}, key, 10), soon())
    (statements,) = tables._statements.values()
    database.execute("SET enable_seqscan = off")

    plan = database.execute(b"EXPLAIN " + statements[0], [*key, 10]).fetchall()

    text = "\n".join(line for (line,) in plan)
    assert "Index" in text
    assert "Sort  (" not in text  # partitions are merged by a key that each has in order


def test_text_is_ordered_by_code_point_whatever_the_columns_collation(
    settings: Settings, database: psycopg.Connection[Any], reads: Database
) -> None:
    establish(database, settings, ledger.DOMAIN, 3)
    tables = Tables(ledger.READING, settings.projection, reads)
    tables.entities(Question({}, ("m", 1), 10), soon())
    (statements,) = tables._statements.values()

    plan = database.execute(b"EXPLAIN " + statements[0], ["m", 1, 10]).fetchall()

    text = "\n".join(line for (line,) in plan)
    assert 'Sort Key: meter COLLATE "C", number' in text
    # A plan does not show by which collation rows are compared.
    assert b'("meter" COLLATE "C", "number") > ' in statements[0]


def test_rows_of_several_tables_are_of_one_moment(
    settings: Settings, database: psycopg.Connection[Any], reads: Database
) -> None:
    establish(database, settings, DOMAIN, 3)
    isolation: list[str] = []

    def look(conn: psycopg.Connection[Any]) -> None:
        with conn.transaction():
            (found,) = conn.execute("SHOW transaction_isolation").fetchall()
            isolation.extend(found)

    reads.run(look, soon())

    assert isolation == ["repeatable read"]


def test_a_kind_whose_rows_do_not_lead_back_is_refused_at_once(reads: Database) -> None:
    two = (Table("a", ("house", "row", "number"), ("house",)), Table("b", ("house",), ("house",)))

    with pytest.raises(KindNotReadable, match="nothing says how"):
        Tables(kind(tables=two), "p", reads)
    with pytest.raises(KindNotReadable, match="table b lacks its key: number, row"):
        Tables(kind(tables=two, entities=lambda rows: []), "p", reads)
