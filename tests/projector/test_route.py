from typing import Any

import psycopg
import pytest

from projector.control_tables import Projection
from projector.route import (
    FIRST_EPOCH,
    ReadRoute,
    ReadsInPostgres,
    followers,
    read_route,
    require_reads_in_memory,
)
from projector.sql import query
from schemas.sql import statement


def switch(conn: psycopg.Connection[Any], name: str, route: str, decision: int) -> None:
    conn.execute(
        query("route_switch"),
        {
            "projection": name, "route": route, "epoch": decision + 10, "decision": decision,
            "at": "2026-01-01T00:00:00Z", "actor": "ada@desk",
        },
    )  # fmt: skip


def follow(conn: psycopg.Connection[Any], name: str, source: str, decision: int) -> None:
    conn.execute(
        statement("route_followed"), {"projection": name, "source": source, "decision": decision}
    )


def test_reads_are_in_memory_where_nothing_was_ever_decided(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    assert read_route(database, projection.name) == ReadRoute("memory", FIRST_EPOCH, 0)
    assert followers(database, projection.name) == set()
    require_reads_in_memory(database, projection.name)


def test_a_later_decision_replaces_an_earlier_one_and_never_the_other_way_round(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    switch(database, projection.name, "postgres", 5)
    switch(database, projection.name, "shadow", 4)
    switch(database, projection.name, "memory", 5)

    assert read_route(database, projection.name) == ReadRoute("postgres", 15, 5)


def test_only_who_heard_the_newest_decision_follows(
    database: psycopg.Connection[Any], projection: Projection
) -> None:
    switch(database, projection.name, "shadow", 1)
    follow(database, projection.name, "app-1", 1)
    follow(database, projection.name, "app-2", 1)
    switch(database, projection.name, "postgres", 2)

    follow(database, projection.name, "app-2", 2)

    assert followers(database, projection.name) == {"app-2"}


@pytest.mark.parametrize("route", ["memory", "shadow", "postgres"])
def test_tables_that_are_read_stay_as_they_are(
    database: psycopg.Connection[Any], projection: Projection, route: str
) -> None:
    switch(database, projection.name, route, 1)

    if route != "postgres":
        require_reads_in_memory(database, projection.name)
        return
    with pytest.raises(ReadsInPostgres) as refused:
        require_reads_in_memory(database, projection.name)
    assert repr(projection.name) in refused.value.what
    assert "memferry switch-back" in refused.value.remedy
