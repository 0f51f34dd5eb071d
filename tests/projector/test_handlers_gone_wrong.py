"""Whatever a user's handler or table does wrong parks its event; nothing ends the projector."""

import enum
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import psycopg
import pytest

from projector.apply import FEW_ROWS, Applier
from projector.control_tables import Projection
from projector.fold import ChangeRefused, Fold
from schemas.domain import Domain, Kind
from schemas.errors import FerryError
from schemas.tables import Change, Delete, Insert, Patch, Table, Upsert
from tests.domains.ledger import ACCOUNT, ACCOUNTS, DOMAIN, READING
from tests.projector.app import App, accounts_in, tables
from tests.projector.segments import Worker

A, B, C = accounts_in(0, 3)


def parked(conn: psycopg.Connection[Any], name: str) -> list[tuple[str, bool, str]]:
    return conn.execute(
        "SELECT stream, behind, reason FROM memferry.parked WHERE projection = %s "
        "ORDER BY partition, record_offset",
        (name,),
    ).fetchall()


def with_handler(wrong: Callable[[Any, tuple[Change, ...]], Any]) -> Domain:
    """The ledger, whose handler does something else with Bob's accounts."""

    def project(event: Any) -> Any:
        right = ACCOUNT.project(event)
        return wrong(event, right) if getattr(event, "owner", "") == "Bob" else right

    fields = {name: getattr(ACCOUNT, name) for name in Kind.__dataclass_fields__}
    return Domain("ledger", (Kind(**fields | {"project": project}), READING), DOMAIN.ddl)


ELSEWHERE = Table("elsewhere", ("id",), ("id",))


@pytest.mark.parametrize(
    "wrong",
    [
        lambda event, right: None,
        lambda event, right: right[0],
        lambda event, right: (Patch(ACCOUNTS, (event.account,), {"blance": 1}),),
        lambda event, right: (*right, Patch(ACCOUNTS, (event.account,), {"account": "other"})),
        lambda event, right: (Upsert(ELSEWHERE, ("x",)),),
        lambda event, right: (Upsert(ACCOUNTS, ()),),
        lambda event, right: (Upsert(ACCOUNTS, ([], "Bob", 0, event.opened_at, {})),),
        lambda event, right: (Upsert(ACCOUNTS, (event.account, "Bob")),),
        lambda event, right: (Delete(ACCOUNTS, (event.account, "more")),),
        lambda event, right: ("no change",),
    ],
)
def test_an_event_whose_changes_fit_no_table_is_parked_and_the_others_go_on(
    app: App,
    database: psycopg.Connection[Any],
    projection: Projection,
    wrong: Callable[[Any, tuple[Change, ...]], Any],
) -> None:
    app.open(A)
    app.open(B, owner="Bob")
    app.open(C)
    worker = Worker(database, projection, with_handler(wrong))

    worker.transactions.apply(worker.segments(app))

    assert [stream for stream, *_ in parked(database, projection.name)] == [f"account/{B}"]
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A, C}


def test_a_handler_that_is_a_generator_loses_nothing_where_its_batch_is_halved(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")
    app.open(A, owner="Bob")
    app.open(B, owner="Mallory")
    app.open(C, owner="Bob")
    worker = Worker(database, projection, with_handler(lambda event, right: (c for c in right)))

    worker.transactions.apply(worker.segments(app))

    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A, C}


def test_a_stream_with_a_nul_in_its_name_is_parked(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    app.open(A, "a\0b")
    worker = Worker(database, projection)

    for segment in worker.segments(app):
        worker.transactions.apply([segment])
    app.deposit("a\0b", 1)
    for segment in worker.segments(app):
        worker.transactions.apply([segment])

    assert [(stream, behind) for stream, behind, _ in parked(database, projection.name)] == [
        ("account/a\ufffdb", False), ("account/a\ufffdb", True)
    ]  # fmt: skip


def test_what_waits_is_said_to_wait_wherever_batches_are_cut(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    database.execute(f"ALTER TABLE {projection.name}.accounts ADD CHECK (owner <> 'Mallory')")
    app.open(A, owner="Mallory")
    app.deposit(A, 5)
    worker = Worker(database, projection)
    (segment,) = worker.segments(app)
    refused = segment._replace(
        items=[segment.items[0], (segment.items[1][0], ())], refused={1: FerryError("unreadable")}
    )

    worker.transactions.apply([refused])

    first, second = parked(database, projection.name)
    assert (first[1], second[1]) == (False, True)
    assert "waits behind" in second[2]


def test_a_triggers_exception_parks_its_event(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    database.execute(
        f"""
        CREATE FUNCTION {projection.name}.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF new.owner = 'Bob' THEN RAISE EXCEPTION 'no Bobs'; END IF;
            RETURN new;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON {projection.name}.accounts
            FOR EACH ROW EXECUTE FUNCTION {projection.name}.refuse();
        """
    )
    app.open(A)
    app.open(B, owner="Bob")
    worker = Worker(database, projection)

    worker.transactions.apply(worker.segments(app))

    ((stream, _, reason),) = parked(database, projection.name)
    assert (stream, reason) == (f"account/{B}", "no Bobs")


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


WIDE = Table("wide", ("id", *(f"c{n}" for n in range(80))), ("id",))
LEVELS = Table("levels", ("level", "value"), ("level",))
ODD = Table("odd", ("id", "value"), ("id",))
LONG = "a_very_long_name_of_a_table_that_postgresql_takes_well_"
LONGS = [Table(f"{LONG}{n}", ("id", "value"), ("id",)) for n in (1, 2)]
MONTHLY = Table("monthly", ("id", "at"), ("id", "at"), months="at")


@pytest.fixture
def schema(database: psycopg.Connection[Any]) -> Iterator[str]:
    name = f"s{secrets.token_hex(5)}"
    columns = ", ".join(f"c{n} int" for n in range(80))
    longs = "".join(f"CREATE TABLE {t.name} (id text PRIMARY KEY, value int);" for t in LONGS)
    database.execute(
        f"""
        CREATE SCHEMA {name};
        SET search_path TO {name};
        CREATE TABLE wide (id text PRIMARY KEY, {columns});
        CREATE TABLE levels (level text PRIMARY KEY, value int);
        CREATE TABLE odd (id text PRIMARY KEY, value int CHECK (value % 2 = 1));
        {longs}
        CREATE TABLE monthly (id text, at timestamptz, PRIMARY KEY (id, at))
            PARTITION BY RANGE (at);
        RESET search_path;
        """
    )
    yield name
    database.execute(f"DROP SCHEMA {name} CASCADE")


@pytest.fixture(params=[0, FEW_ROWS], ids=["staged", "few"])
def apply(
    request: pytest.FixtureRequest, database: psycopg.Connection[Any], schema: str
) -> Callable[..., None]:
    known = [WIDE, LEVELS, ODD, *LONGS, MONTHLY]
    applier = Applier(database, schema, known, few_rows=request.param)

    def changes(*made: Change) -> None:
        fold = Fold(known)
        fold.add_all(made)
        with database.transaction():
            applier.apply(fold)

    return changes


def test_a_table_of_many_columns_is_patched(
    database: psycopg.Connection[Any], schema: str, apply: Callable[..., None]
) -> None:
    apply(Insert(WIDE, ("x", *range(80))))

    apply(Patch(WIDE, ("x",), {"c0": -1, "c79": -2}), Patch(WIDE, ("x",), {"c40": None}))

    row = database.execute(f"SELECT * FROM {schema}.wide").fetchone()
    assert row == ("x", -1, *range(1, 40), None, *range(41, 79), -2)


def test_keys_that_have_no_order_are_applied(
    database: psycopg.Connection[Any], schema: str, apply: Callable[..., None]
) -> None:
    apply(Upsert(LEVELS, (Level.LOW, 1)), Upsert(LEVELS, (Level.HIGH, 2)))

    found = database.execute(f"SELECT level, value FROM {schema}.levels ORDER BY 2").fetchall()
    assert found == [("low", 1), ("high", 2)]


def test_a_percent_sign_in_the_ddl_is_one(
    database: psycopg.Connection[Any], schema: str, apply: Callable[..., None]
) -> None:
    apply(Insert(ODD, ("a", 1)), Patch(ODD, ("a",), {"value": 3}))
    with pytest.raises(ChangeRefused, match="odd_value_check"):
        apply(Patch(ODD, ("a",), {"value": 4}), Patch(ODD, ("a",), {"value": 5}))

    assert database.execute(f"SELECT * FROM {schema}.odd").fetchall() == [("a", 3)]


def test_tables_whose_long_names_begin_alike_are_kept_apart(
    database: psycopg.Connection[Any], schema: str, apply: Callable[..., None]
) -> None:
    first, second = LONGS
    apply(Upsert(first, ("a", 1)), Upsert(second, ("b", 2)))

    assert database.execute(f"SELECT * FROM {schema}.{first.name}").fetchall() == [("a", 1)]
    assert database.execute(f"SELECT * FROM {schema}.{second.name}").fetchall() == [("b", 2)]


def test_a_patch_of_a_key_is_refused(apply: Callable[..., None]) -> None:
    apply(Upsert(LEVELS, ("low", 1)))

    with pytest.raises(ChangeRefused, match="key column level"):
        apply(Patch(LEVELS, ("low",), {"level": "high"}))


def test_a_row_that_no_month_has_a_place_for_is_refused_though_it_is_deleted_again(
    apply: Callable[..., None],
) -> None:
    late = datetime(2300, 1, 1, tzinfo=UTC)

    with pytest.raises(ChangeRefused, match="years"):
        apply(Insert(MONTHLY, ("a", late)), Delete(MONTHLY, ("a", late)))


class Checked(msgspec.Struct, frozen=True):
    account: str
    owner: str
    opened_at: datetime
    tags: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.owner == "Bob":
            raise KeyError("no Bobs")


def test_a_type_that_raises_while_it_is_decoded_parks_its_event(
    app: App, database: psycopg.Connection[Any], projection: Projection
) -> None:
    def project(event: Any) -> tuple[Change, ...]:
        row = (event.account, event.owner, Decimal(0), event.opened_at, event.tags)
        return (Insert(ACCOUNTS, row),)

    events: dict[str, type[msgspec.Struct]] = {
        **ACCOUNT.events, "ledger.account.opened.v1": Checked
    }  # fmt: skip
    kind = replace(ACCOUNT, events=events, project=project)
    app.open(A)
    app.open(B, owner="Bob")
    worker = Worker(database, projection, Domain("ledger", (kind, READING), DOMAIN.ddl))

    worker.transactions.apply(worker.segments(app))

    assert [stream for stream, *_ in parked(database, projection.name)] == [f"account/{B}"]
    assert {row[0] for row in tables(database, projection.name)["accounts"]} == {A}
