import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from projector.control_tables import Projection
from projector.trail import actor, first_broken, link, note


@pytest.fixture
def trail(
    database: psycopg.Connection[Any], projection: Projection
) -> Iterator[psycopg.Connection[Any]]:
    """A trail of four actions, of which nothing stays: the database has one for everybody."""
    with database.transaction(force_rollback=True):
        database.execute("DELETE FROM memferry.trail")
        for number in range(4):
            note(
                database, f"action {number}", {"state": "live"}, {"n": number, "list": [1.5, None]}
            )
        yield database


def test_an_action_says_who_did_what_when(trail: psycopg.Connection[Any]) -> None:
    rows = trail.execute(
        "SELECT id, actor, action, before, after, now() - at < '1 minute' FROM memferry.trail "
        "ORDER BY id"
    ).fetchall()

    assert rows[2] == (
        3,
        actor(),
        "action 2",
        {"state": "live"},
        {"n": 2, "list": [1.5, None]},
        True,
    )
    assert "@" in actor()


def test_a_trail_that_nobody_touched_is_whole(trail: psycopg.Connection[Any]) -> None:
    assert first_broken(trail) is None


def test_every_entry_carries_the_hash_of_the_one_before(trail: psycopg.Connection[Any]) -> None:
    columns = ("id", "at", "actor", "action", "before", "after", "chain")
    rows = trail.execute(f"SELECT {', '.join(columns)} FROM memferry.trail ORDER BY id").fetchall()
    entries = [dict(zip(columns, row, strict=True)) for row in rows]

    chain = hashlib.sha256(b"memferry trail").hexdigest()
    for entry in entries:
        chain = link(chain, entry)
        assert entry["chain"] == chain


@pytest.mark.parametrize(
    ("tampering", "broken"),
    [
        ("UPDATE memferry.trail SET actor = 'nobody' WHERE id = 1", 1),
        ("UPDATE memferry.trail SET action = 'another' WHERE id = 2", 2),
        ("""UPDATE memferry.trail SET after = '{"n": 7}' WHERE id = 3""", 3),
        ("UPDATE memferry.trail SET before = '{}' WHERE id = 4", 4),
        ("UPDATE memferry.trail SET at = at + interval '1 microsecond' WHERE id = 4", 4),
        ("UPDATE memferry.trail SET chain = reverse(chain) WHERE id = 2", 2),
        ("DELETE FROM memferry.trail WHERE id = 1", 1),
        ("DELETE FROM memferry.trail WHERE id = 3", 3),
        ("INSERT INTO memferry.trail SELECT 0, at, actor, action, before, after, chain "
         "FROM memferry.trail WHERE id = 1", 1),
        ("INSERT INTO memferry.trail SELECT 5, at, actor, action, before, after, chain "
         "FROM memferry.trail WHERE id = 4", 5),
        ("WITH moved AS (DELETE FROM memferry.trail WHERE id = 2 RETURNING *) "
         "INSERT INTO memferry.trail SELECT 5, at, actor, action, before, after, chain FROM moved",
         2),
    ],
)  # fmt: skip
def test_an_entry_altered_removed_or_inserted_is_found(
    trail: psycopg.Connection[Any], tampering: str, broken: int
) -> None:
    trail.execute(tampering)

    assert first_broken(trail) == broken


def test_an_altered_entry_is_found_even_when_its_own_hash_was_made_to_fit(
    trail: psycopg.Connection[Any],
) -> None:
    first = trail.execute("SELECT chain, at FROM memferry.trail WHERE id = 1").fetchone()
    assert first is not None
    chain, at = first
    forged = {"id": 2, "at": at, "actor": "x", "action": "y", "before": {}, "after": {}}
    trail.execute(
        "UPDATE memferry.trail SET at = %s, actor = 'x', action = 'y', before = '{}', "
        "after = '{}', chain = %s WHERE id = 2",
        (at, link(chain, forged)),
    )

    assert first_broken(trail) == 3


def test_a_note_and_what_it_notes_are_there_together_or_not_at_all(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    count = "SELECT count(*) FROM memferry.trail"
    before = database.execute(count).fetchone()

    with pytest.raises(ZeroDivisionError), database.transaction():
        note(database, "undone", {}, {})
        raise ZeroDivisionError

    assert database.execute(count).fetchone() == before


def test_the_time_zone_of_a_session_does_not_break_the_chain(
    trail: psycopg.Connection[Any],
) -> None:
    trail.execute("SET LOCAL timezone = 'Asia/Kolkata'")

    assert first_broken(trail) is None


def test_a_link_does_not_depend_on_the_order_of_names() -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    entry = {
        "id": 1,
        "at": at,
        "actor": "a",
        "action": "b",
        "before": {"x": 1, "y": 2},
        "after": {},
    }

    assert link("", entry) == link("", entry | {"before": {"y": 2, "x": 1}})
    assert link("", entry) != link("", entry | {"before": {"y": 1, "x": 2}})
