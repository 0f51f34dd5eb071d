"""What changes the tables' part of a kind's fingerprint, and that it is the same everywhere."""

import subprocess
import sys
from decimal import Decimal

import pytest

from schemas import trading
from schemas.fingerprint import changed_since, fingerprint
from schemas.trading import money
from tests.domains.ledger import ACCOUNT, DOMAIN, READING

DDL = DOMAIN.ddl


@pytest.mark.parametrize(
    "more",
    [
        "CREATE TABLE others (a text);",
        "ALTER TABLE others ADD b text;",
        "CREATE INDEX accounts_owner ON accounts (owner);",
        "COMMENT ON TABLE accounts IS 'x; CREATE TABLE accounts'';';",
        "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $a$ x; ALTER TABLE accounts; $a$;",
    ],
)
def test_what_is_no_part_of_a_kinds_tables_does_not_count(more: str) -> None:
    assert fingerprint(ACCOUNT, f"{DDL}{more}") == fingerprint(ACCOUNT, DDL)


@pytest.mark.parametrize(
    "ddl",
    [
        DDL.replace("owner text NOT NULL", "owner text"),
        f"{DDL}ALTER TABLE accounts ADD UNIQUE (owner);",
        f"CREATE DOMAIN money AS numeric CHECK (VALUE > 0);{DDL}",
        DDL.replace("tags jsonb", "tags jsonb DEFAULT '--;'"),
        DDL.replace("CREATE TABLE accounts", "CREATE UNLOGGED TABLE accounts"),
    ],
)
def test_what_makes_a_kinds_tables_counts(ddl: str) -> None:
    assert changed_since(fingerprint(ACCOUNT, DDL), fingerprint(ACCOUNT, ddl)) == ["tables"]


@pytest.mark.parametrize(
    "written", ["CREATE TABLE Readings", 'create table if not exists "readings"']
)
def test_a_tables_name_may_be_written_in_any_way(written: str) -> None:
    ddl = DDL.replace("CREATE TABLE readings", written)
    other = ddl.replace("number bigint", "number int")

    assert changed_since(fingerprint(READING, ddl), fingerprint(READING, other)) == ["tables"]


def test_another_process_that_has_calculated_says_the_same_of_the_shipped_domain() -> None:
    script = (
        "from schemas.fingerprint import fingerprint; from schemas.trading import DOMAIN; "
        "print(*(fingerprint(kind, DOMAIN.ddl) for kind in DOMAIN.kinds), sep='\\n')"
    )
    money.average(Decimal(1), Decimal(3))  # leaves flags in its context

    found = subprocess.run(
        [sys.executable, "-c", script],
        env={"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": "7"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    kinds, ddl = trading.DOMAIN.kinds, trading.DOMAIN.ddl
    assert found.stdout.splitlines() == [str(fingerprint(kind, ddl)) for kind in kinds]
