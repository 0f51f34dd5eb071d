from typing import Any

import psycopg
import pytest

from projector.replay.beside import beside_of
from projector.replay.savepoint_drop import drop, drop_all_but
from projector.replay.savepoints import SavepointExists, list_all, take
from projector.replay.target import SavepointUnknown
from projector.trail import first_broken
from schemas.settings import Settings
from tests.domains.ledger import DOMAIN
from tests.projector.app import App

Connection = psycopg.Connection[Any]


def names(conn: Connection, settings: Settings) -> list[str]:
    return [point.name for point in list_all(conn, settings.projection)]


async def test_a_name_that_was_dropped_is_none_any_more_and_stays_used(
    projected: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "kept")
    taken = await take(database, settings, settings.projection, "before")

    dropped = await drop(database, settings, settings.projection, "before")

    assert dropped == taken
    assert names(database, settings) == ["kept"]
    with pytest.raises(SavepointExists) as refused:
        await take(database, settings, settings.projection, "before")
    assert "was a savepoint 'before', dropped at" in refused.value.what
    assert "choose another name" in refused.value.remedy
    with pytest.raises(SavepointUnknown) as unknown:
        await drop(database, settings, settings.projection, "before")
    assert "'before', it was dropped at" in unknown.value.what
    assert unknown.value.remedy == "savepoints: kept"


async def test_what_there_never_was_cannot_be_dropped(
    projected: App, settings: Settings, database: Connection
) -> None:
    with pytest.raises(SavepointUnknown) as refused:
        await drop(database, settings, settings.projection, "nowhere")

    assert refused.value.what == "there is no savepoint 'nowhere'"
    assert refused.value.remedy == "savepoints: none was taken yet"


async def test_tables_that_were_kept_go_with_the_name(
    projected: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "before", keep=DOMAIN)
    (kept,) = beside_of(database, settings.projection)

    await drop(database, settings, settings.projection, "before")

    assert beside_of(database, settings.projection) == []
    assert database.execute("SELECT to_regnamespace(%s)", (kept.name,)).fetchone() == (None,)


async def test_the_trail_says_what_it_was(
    projected: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "before")
    await drop(database, settings, settings.projection, "before")

    row = database.execute(
        "SELECT before ->> 'name', before ->> 'position' FROM memferry.trail "
        "WHERE action = 'savepoint dropped' AND after ->> 'projection' = %s",
        (settings.projection,),
    ).fetchone()
    taken = database.execute(
        "SELECT after ->> 'name', after ->> 'position' FROM memferry.trail "
        "WHERE action = 'savepoint taken' AND after ->> 'projection' = %s",
        (settings.projection,),
    ).fetchone()
    assert row == taken is not None
    assert first_broken(database) is None


async def test_the_newest_of_a_purpose_are_left_and_all_others(
    projected: App, settings: Settings, database: Connection
) -> None:
    await take(database, settings, settings.projection, "by-hand")
    for number in range(4):
        await take(database, settings, settings.projection, f"every-{number}", purpose="every")

    gone = await drop_all_but(database, settings, settings.projection, "every", 2)

    assert gone == ["every-0", "every-1"]
    assert names(database, settings) == ["by-hand", "every-2", "every-3"]
