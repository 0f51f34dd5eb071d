"""Tables that somebody changed by hand: every row that is no sound entity is named by its key."""

import asyncio
from typing import Any

import msgspec
import psycopg
import pytest

from projector.audit.report import Report, ReportFinding
from projector.audit.validation import validate
from projector.control_tables import establish
from schemas.domain import Domain
from schemas.settings import Settings
from schemas.trading import DOMAIN as TRADING
from tests.domains.ledger import DOMAIN as LEDGER

OPEN = "INSERT INTO accounts VALUES (%s, %s, 1, '2024-01-01 12:00+00', '{}')"


@pytest.fixture
def ledger(settings: Settings, database: psycopg.Connection[Any]) -> Settings:
    """Tables of two accounts and two readings."""
    _tables(settings, database, LEDGER)
    for account, owner in (("a", "Ada"), ("b", "Bob")):
        database.execute(OPEN, (account, owner))
    database.execute("INSERT INTO readings VALUES ('m', 1, 1.5), ('m', 2, 2.5)")
    return settings


@pytest.fixture
def trading(settings: Settings, database: psycopg.Connection[Any]) -> Settings:
    """Tables with two portfolio snapshots of two positions each, in partitions of a month."""
    settings = msgspec.structs.replace(settings, domain="schemas.trading")
    _tables(settings, database, TRADING)
    for table in ("portfolio_snapshots", "portfolio_positions"):
        database.execute(
            f"CREATE TABLE {table}_2026_03 PARTITION OF {table} "
            "FOR VALUES FROM ('2026-03-01 00:00+00') TO ('2026-04-01 00:00+00')"
        )
    for day in (2, 3):
        at = f"'2026-03-0{day} 00:00+00', {1_772_409_600 + (day - 2) * 86_400}000000000"
        database.execute(f"INSERT INTO portfolio_snapshots VALUES ('P', {at}, 10, 70)")
        for symbol, price in (("FB", 2), ("IBM", 4)):
            database.execute(
                f"INSERT INTO portfolio_positions VALUES ('P', {at}, '{symbol}', 10, 3, {price})"
            )
    return settings


def _tables(settings: Settings, database: psycopg.Connection[Any], domain: Domain) -> None:
    establish(database, settings, domain, settings.kafka.partitions)
    database.execute(f"SET search_path TO {settings.projection}, pg_catalog")


def looked_at(settings: Settings, domain: Domain = LEDGER) -> Report:
    return asyncio.run(validate(settings, domain, "tables"))


def found(settings: Settings, domain: Domain = LEDGER) -> list[ReportFinding]:
    return [one for one in looked_at(settings, domain).findings if one.level == "syntax"]


def test_tables_as_the_projector_leaves_them_have_no_finding(ledger: Settings) -> None:
    report = looked_at(ledger)

    assert [finding.rule for finding in report.findings] == []
    assert report.levels[0].looked == 4


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("UPDATE accounts SET balance = 'NaN' WHERE account = 'b'", "NaN"),
        ("UPDATE accounts SET tags = '[1]' WHERE account = 'b'", "Expected `object`"),
        ("UPDATE accounts SET tags = '{\"n\": 7}' WHERE account = 'b'", "Expected `str`"),
        ("UPDATE accounts SET opened_at = 'infinity' WHERE account = 'b'", "opened_at"),
        ("UPDATE accounts SET opened_at = '20000-01-01' WHERE account = 'b'", "opened_at"),
    ],
)
def test_a_value_that_does_not_fit_its_type_is_named_with_its_row(
    damage: str, said: str, ledger: Settings, database: psycopg.Connection[Any]
) -> None:
    assert database.execute(damage).rowcount == 1

    (finding,) = found(ledger)

    assert finding.count == 1
    assert finding.rows[0].startswith("b")
    assert said in finding.observed
    assert looked_at(ledger).levels[0].looked == 4


def test_a_column_that_may_be_null_now_and_is(
    ledger: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute("ALTER TABLE accounts ALTER COLUMN owner DROP NOT NULL")
    database.execute("UPDATE accounts SET owner = NULL WHERE account = 'a'")

    (finding,) = found(ledger)

    assert (finding.where, finding.rows) == ("tables, account", ["a"])


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/St_Johns"])
def test_times_are_the_same_in_whatever_zone_the_session_is(
    zone: str, ledger: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", zone)

    assert found(ledger) == []


def test_a_table_and_a_column_that_nobody_has_are_named_and_views_are_none(
    ledger: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute("CREATE TABLE forgotten (id int)")
    database.execute("CREATE VIEW seen AS SELECT * FROM accounts")
    database.execute("ALTER TABLE accounts ADD COLUMN colour text")

    findings = found(ledger)

    assert [(one.rule, one.rows) for one in findings] == [
        ("account.mapped", ["table accounts, column colour"]),
        ("mapped", ["table forgotten"]),
    ]


def test_a_kind_that_no_entity_can_be_made_of_is_a_finding(ledger: Settings) -> None:
    account, reading = LEDGER.kinds
    other = msgspec.structs.replace(reading.tables[0], columns=("number", "meter", "value"))
    kinds = (account, reading.__class__(**{**reading.__dict__, "tables": (other,)}))

    (finding,) = found(ledger, Domain("ledger", kinds, LEDGER.ddl))

    assert finding.where == "tables, reading"
    assert "nothing says how" in finding.observed


def test_entities_of_two_tables_are_whole_and_partitions_are_no_forgotten_tables(
    trading: Settings,
) -> None:
    report = looked_at(trading, TRADING)

    assert [f.rule for f in report.findings if f.level in {"syntax", "business"}] == []
    assert report.levels[0].looked == 2


def test_rows_of_a_further_table_without_their_first_are_named(
    trading: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute("DELETE FROM portfolio_snapshots WHERE taken_at < '2026-03-03 00:00+00'")

    findings = found(trading, TRADING)

    assert [finding.rule for finding in findings] == ["portfolio.owned"]
    assert findings[0].rows[0].startswith("P/2026-03-02T00:00:00+00:00")


def test_a_row_that_is_gone_from_a_further_table_unbalances_its_entity(
    trading: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute(
        "DELETE FROM portfolio_positions WHERE taken_at < '2026-03-03' AND symbol='FB'"
    )

    report = looked_at(trading, TRADING)

    rows = [row for f in report.findings if f.level == "business" for row in f.rows]
    assert "P/2026-03-02T00:00:00+00:00" in rows
    assert "P/2026-03-03T00:00:00+00:00" not in rows


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DROP TABLE readings CASCADE", "the table is not there"),
        ("ALTER TABLE readings RENAME COLUMN value TO amount", "the columns value are not there"),
    ],
)
def test_what_a_table_lacks_is_said_and_the_others_are_read(
    damage: str, said: str, ledger: Settings, database: psycopg.Connection[Any]
) -> None:
    database.execute(damage)

    first, *further = [one for one in found(ledger) if one.where == "tables, reading"]

    assert (first.rule, first.rows) == ("reading.readable", ["table readings"])
    assert said in first.observed
    assert [one.rule for one in further] == ["reading.mapped"] * ("amount" in damage)
    assert looked_at(ledger).levels[1].looked == 2
