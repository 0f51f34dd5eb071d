"""Tables beside take the place of the live ones, whole and in one step."""

import threading
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import sql

from projector.checkpoint import Claim, Fenced, advance, claim
from projector.control_tables import establish, read_projection
from projector.replay.beside import beside_of, copy, drop, make, make_months
from projector.replay.exchange import TablesInUse, exchange
from schemas.settings import Settings
from schemas.trading import DOMAIN as TRADING
from tests.domains.ledger import DOMAIN
from tests.projector.app import tables
from tests.projector.segments import lanes_in, offsets_in

Connection = psycopg.Connection[Any]


def _mark(conn: Connection, schema: str, owner: str) -> None:
    conn.execute(
        sql.SQL("UPDATE {}.accounts SET owner = %s").format(sql.Identifier(schema)), (owner,)
    )


def _owners(conn: Connection, schema: str) -> set[str]:
    statement = sql.SQL("SELECT DISTINCT owner FROM {}.accounts").format(sql.Identifier(schema))
    return {owner for (owner,) in conn.execute(statement)}


def test_a_copy_has_rows_lanes_and_position_of_one_moment(
    live: str, settings: Settings, database: Connection
) -> None:
    name, position = copy(settings, DOMAIN, live, "savepoint", savepoint="s")

    assert tables(database, name) == tables(database, live)
    assert lanes_in(database, name) == lanes_in(database, live) != {}
    assert offsets_in(database, name) == offsets_in(database, live) == position
    (kept,) = beside_of(database, live)
    assert (kept.name, kept.purpose, kept.savepoint, kept.state) == (name, "savepoint", "s", "held")


def test_a_copy_that_is_cut_short_leaves_nothing(
    live: str, settings: Settings, database: Connection
) -> None:
    database.execute(
        sql.SQL("ALTER TABLE {}.accounts DROP COLUMN tags").format(sql.Identifier(live))
    )
    database.execute(
        sql.SQL("ALTER TABLE {}.accounts ADD COLUMN odd text").format(sql.Identifier(live))
    )

    with pytest.raises(psycopg.errors.UndefinedColumn):
        copy(settings, DOMAIN, live, "savepoint", savepoint="s")

    assert beside_of(database, live) == []


def test_a_copy_and_a_shadow_have_the_partitions_of_the_live_tables(
    settings: Settings, database: Connection
) -> None:
    trading = msgspec.structs.replace(settings, domain="schemas.trading")
    establish(database, trading, TRADING, 3)
    bars = sql.Identifier(settings.projection, "market_bars")
    month = sql.Identifier(settings.projection, "market_bars_2024_05")
    database.execute(
        sql.SQL(
            "CREATE TABLE {} PARTITION OF {} FOR VALUES FROM ('2024-05-01') TO ('2024-06-01')"
        ).format(month, bars)
    )

    copied, _ = copy(trading, TRADING, settings.projection, "savepoint", savepoint="s")
    shadow = make(database, settings.projection, TRADING, "shadow")
    make_months(database, settings.projection, shadow)

    for name in (copied, shadow):
        found = database.execute(
            "SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE oid = %s::regclass",
            (f"{name}.market_bars_2024_05",),
        ).fetchone()
        assert found is not None
        assert "2024-05-01" in found[0]
        drop(database, name)


def test_what_is_not_beside_is_never_dropped(live: str, database: Connection) -> None:
    before = tables(database, live)

    drop(database, live)

    assert tables(database, live) == before


def test_all_of_a_projection_is_exchanged(
    live: str, settings: Settings, database: Connection
) -> None:
    beside, _ = copy(settings, DOMAIN, live, "savepoint", savepoint="s")
    _mark(database, beside, "Grace")
    database.execute("UPDATE memferry.lane SET seq = seq + 7 WHERE projection = %s", (beside,))
    database.execute(
        "UPDATE memferry.checkpoint SET next_offset = next_offset + 5 WHERE projection = %s",
        (beside,),
    )
    database.execute(
        """UPDATE memferry.projection SET voids = '[["v", "app-1"]]' WHERE name = %s""", (beside,)
    )
    here, there = offsets_in(database, live), offsets_in(database, beside)
    lanes = lanes_in(database, live)

    done = exchange(database, live, beside, DOMAIN, "held", "why")

    assert (done.kept, done.position, done.attempts) == (beside, there, 1)
    assert (_owners(database, live), _owners(database, beside)) == ({"Grace"}, {"Ada"})
    assert (offsets_in(database, live), offsets_in(database, beside)) == (there, here)
    assert lanes_in(database, beside) == lanes
    assert lanes_in(database, live) == {p: seq + 7 for p, seq in lanes.items()}
    assert read_projection(database, live)[4:6] == ("held", "why")
    assert read_projection(database, beside)[4:6] == ("held", "swapped")
    voids = dict(
        database.execute(
            "SELECT name, voids FROM memferry.projection WHERE name = ANY (%s)", ([live, beside],)
        ).fetchall()
    )
    assert voids == {live: [["v", "app-1"]], beside: []}
    (kept,) = beside_of(database, live)
    assert (kept.purpose, kept.savepoint, kept.was) == ("swapped", "", "live")


def test_exchanged_twice_all_is_as_it_was(
    live: str, settings: Settings, database: Connection
) -> None:
    before = tables(database, live), offsets_in(database, live), lanes_in(database, live)
    beside = make(database, live, DOMAIN, "shadow")

    exchange(database, live, beside, DOMAIN, "held", "")
    exchange(database, live, beside, DOMAIN, "live", "")

    now = tables(database, live), offsets_in(database, live), lanes_in(database, live)
    assert now == before


@pytest.mark.parametrize("side", ["live", "beside"])
def test_whoever_had_claimed_either_side_commits_nothing_more(
    live: str, settings: Settings, database: Connection, side: str
) -> None:
    beside, _ = copy(settings, DOMAIN, live, "shadow")
    name = live if side == "live" else beside
    state = "live" if side == "live" else "rebuilding"
    zombie: Claim = claim(database, read_projection(database, name), state)  # type: ignore[arg-type]

    exchange(database, live, beside, DOMAIN, "live", "")

    moved = {p: (offset, offset + 1, "") for p, offset in zombie.offsets.items()}
    with pytest.raises(Fenced), database.transaction():
        advance(database, zombie, moved, ())


def test_a_reader_that_holds_a_table_is_waited_for_and_named(
    live: str, settings: Settings, database: Connection
) -> None:
    beside = make(database, live, DOMAIN, "shadow")
    before = tables(database, live)
    with psycopg.connect(settings.postgres.dsn, application_name="slow report") as reader:
        reader.execute(sql.SQL("SELECT 1 FROM {}.readings").format(sql.Identifier(live)))

        with pytest.raises(TablesInUse) as refused:
            exchange(database, live, beside, DOMAIN, "held", "", patience_s=0.3)

        assert "slow report" in refused.value.what
        assert tables(database, live) == before
        read = psycopg.connect(settings.postgres.dsn, autocommit=True)
        with read:  # nothing is left locked
            read.execute("SET statement_timeout = '2s'")
            assert tables(read, live) == before


def test_a_reader_that_ends_meanwhile_lets_the_swap_through(
    live: str, settings: Settings, database: Connection
) -> None:
    beside = make(database, live, DOMAIN, "shadow")
    begun: list[object] = []
    with psycopg.connect(settings.postgres.dsn) as reader:
        reader.execute(sql.SQL("SELECT 1 FROM {}.readings").format(sql.Identifier(live)))

        def reach(offsets: object) -> None:
            begun.append(offsets)
            if len(begun) > 1:  # the first attempt has found the reader
                reader.rollback()

        exchanged = exchange(database, live, beside, DOMAIN, "held", "", reach=reach)

    assert exchanged.attempts == len(begun) > 1


def test_the_live_projector_stands_still_while_the_shadow_reaches_it(
    live: str, settings: Settings, database: Connection
) -> None:
    beside, _ = copy(settings, DOMAIN, live, "shadow")
    held = claim(database, read_projection(database, live), "live")
    moved = {p: (offset, offset + 1, "") for p, offset in held.offsets.items()}
    ended: list[BaseException] = []
    started = threading.Event()

    def go_on() -> None:
        with psycopg.connect(settings.postgres.dsn, autocommit=True) as conn:
            started.set()
            try:
                with conn.transaction():
                    advance(conn, held, moved, ())
            except Fenced as error:
                ended.append(error)

    projector = threading.Thread(target=go_on)

    def reach(offsets: Any) -> None:
        assert offsets == held.offsets
        projector.start()
        started.wait(5)

    exchange(database, live, beside, DOMAIN, "live", "", reach=reach)
    projector.join(10)

    assert [type(error) for error in ended] == [Fenced]
