"""The checker finds every row that the log does not make, and its names are the domain's."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from schemas.trading import DOMAIN
from tests.checker.comparison import generation_of
from tests.checker.kinds import KINDS, TABLES, Column
from tests.checker.rows import same
from tests.checker.rules import RULES
from tests.checker.story import PORTFOLIO, ROWS, Story, change, found

POSITION = PORTFOLIO["positions"][0]
LATER = datetime(2026, 3, 2, 13, tzinfo=UTC)


def other(value: Any) -> Any:
    """Return another value of the same sort."""
    match value:
        case str():
            return value + "x"
        case datetime():
            return value + timedelta(microseconds=1)
        case Decimal():
            return value + Decimal("1E-20")
        case dict():
            return value | {"window": 20}
        case int():
            return value + 1
        case _:
            return "x"


CELLS = [
    (table.name, column) for table in TABLES for column in table.columns if column not in table.key
]


@pytest.mark.parametrize(("table", "column"), CELLS)
def test_a_changed_column_is_altered(table: str, column: str) -> None:
    story = Story()
    row = story.tables[table][-1]
    row[column] = other(row[column])

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "altered", f"table {table}", f"column {column}: expected")


@pytest.mark.parametrize("table", ROWS)
def test_a_missing_row_is_lost(table: str) -> None:
    story = Story()
    row = story.tables[table].pop()

    findings = story.judge().findings

    assert len(findings) == 1
    key = next(t.key for t in TABLES if t.name == table)
    assert found(findings, "lost", f"table {table}", f"{key[0]} {row[key[0]]}", "missing")


@pytest.mark.parametrize("table", ROWS)
def test_a_row_that_the_log_does_not_make_is_foreign(table: str) -> None:
    story = Story()
    column = next(t.key[-1] for t in TABLES if t.name == table)
    row = dict(story.tables[table][0])
    story.tables[table].append(row | {column: other(other(row[column]))})

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "foreign", f"table {table}", f"{column} ")


def test_a_row_that_stands_twice_is_doubled() -> None:
    story = Story()
    story.tables["trades"] *= 2

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "doubled", "table trades", "trade_id T-1")


@pytest.mark.parametrize("value", [None, "18.75", 18.75])
def test_a_null_or_a_value_of_another_type_is_altered(value: object) -> None:
    story = Story()
    story.tables["trades"][0]["realised_profit"] = value

    assert found(story.judge().findings, "altered", "column realised_profit", "'18.75'")


@pytest.mark.parametrize(
    ("wanted", "stored", "equal"),
    [
        ({"a": 1, "b": [1.5, None]}, {"b": [1.5, None], "a": 1}, True),
        (1e5, 100000, True),
        ([1], [1, 2], False),
        ([1, 2], [1], False),
        ({"a": 1}, {"a": 1, "b": 1}, False),
        ({"a": True}, {"a": 1}, False),
        (["1"], [1], False),
        ({}, [], False),
        ("x", None, False),
    ],
)
def test_json_is_compared_by_structure(wanted: Any, stored: Any, equal: bool) -> None:
    assert same(wanted, stored, Column.JSON) is equal


@pytest.mark.parametrize(
    ("wanted", "stored", "column", "equal"),
    [
        ("1.10", Decimal("1.1000"), Column.DECIMAL, True),
        ("1E+2", Decimal(100), Column.DECIMAL, True),
        ("x", Decimal(100), Column.DECIMAL, False),
        ("2026-03-02T14:00:00+01:00", LATER, Column.TIME, True),
        ("2026-03-02T13:00:00", LATER, Column.TIME, False),
        (1, True, Column.INTEGER, False),
        ("a", "a ", Column.TEXT, False),
        (None, None, Column.TEXT, True),
    ],
)
def test_values_are_compared_by_their_sort(
    wanted: Any, stored: Any, column: Column, equal: bool
) -> None:
    assert same(wanted, stored, column) is equal


def test_a_removed_entity_has_no_row() -> None:
    story = Story()
    for fact, time_ns in (("stopped", 1772452800000000001), ("removed", 1772452800000000002)):
        data = {"strategy_id": "S-1", "at": "2026-03-02T12:00:00Z", "at_ns": time_ns}
        story.write(1, "strategy/S-1", f"trading.strategy.{fact}.v1", data)
    left = story.tables["strategies"].pop()

    assert story.judge().clean
    story.tables["strategies"].append(left)
    assert found(story.judge().findings, "foreign", "table strategies", "strategy_id S-1")


def test_rows_are_compared_with_the_log_up_to_an_offset() -> None:
    story = Story()
    story.tables["trades"][0] |= {
        "status": "partially_filled", "filled_quantity": Decimal("0.5"),
        "filled_value": Decimal(50), "average_price": Decimal(100), "fees": Decimal("0.1"),
        "exit_price": None, "realised_profit": None, "closed_at": None, "closed_at_ns": None,
    }  # fmt: skip
    del story.tables["portfolio_snapshots"][0], story.tables["portfolio_positions"][0]

    verdict = story.judge(until={0: 2, 1: 7})

    assert verdict.clean, str(verdict)
    assert verdict.counts.folded == 8
    assert found(story.judge(until={0: 1, 1: 7}).findings, "altered", "table trades")
    assert found(story.judge(until={0: 2, 1: 8}).findings, "lost", "table portfolio_snapshots")
    with pytest.raises(ValueError, match="partition 1"):
        story.judge(until={0: 2})


@pytest.mark.parametrize(
    ("partition", "place", "member", "value", "kind", "text"),
    [
        (0, 1, "filled_value", "51", "altered", "filled_value is 51"),
        (0, 2, "average_price", "100.37", "altered", "average_price is 100.37"),
        (0, 2, "fees", "0.2", "altered", "fees is 0.2"),
        (0, 3, "realised_profit", "18.76", "altered", "realised_profit is 18.76"),
        (0, 3, "at_ns", 1, "reordered", "its time 1 ns"),
        (1, 7, "equity", "250", "altered", "equity is 250"),
        (1, 7, "positions", [POSITION | {"x": 1}], "altered", "misshapen"),
        (1, 7, "positions", [POSITION, POSITION], "doubled", "portfolio_positions has a row"),
        (1, 7, "cash", "NaN?", "altered", "misshapen"),
        (1, 2, "extra", "x", "altered", "members missing or not known: extra"),
        (1, 3, "strategy_id", "S-2", "altered", "belongs to the stream strategy/S-2"),
    ],
)
def test_an_event_that_does_not_follow_from_its_stream_is_found(
    partition: int, place: int, member: str, value: object, kind: str, text: str
) -> None:
    story = Story()
    data = json.loads(story.log[partition][place])["data"] | {member: value}
    change(story.log[partition], place, data=data)
    story.rechain(partition)

    assert found(story.judge().findings, kind, f"seq {place + 1}", text)


def test_an_execution_that_does_not_fill_the_order_is_altered() -> None:
    story = Story()
    less = {"fill_quantity": "0.5", "filled_quantity": "1.0", "filled_value": "100.25"}
    data = json.loads(story.log[0][2])["data"] | less | {"average_price": "100.25"}
    change(story.log[0], 2, data=data)
    story.rechain(0)

    findings = story.judge().findings

    assert found(findings, "altered", "seq 3", "filled_quantity is 1.0", "make 2")


def _without_creation(story: Story) -> None:
    del story.log[1][2]


def _created_twice(story: Story) -> None:
    event = json.loads(story.log[1][2])
    story.write(1, event["subject"], event["type"], event["data"])


def _started_twice(story: Story) -> None:
    event = json.loads(story.log[1][3])
    story.write(1, event["subject"], event["type"], event["data"])


def _of_no_known_type(story: Story) -> None:
    change(story.log[1], 3, type="trading.strategy.praised.v1")


@pytest.mark.parametrize(
    ("harm", "kind", "text"),
    [
        (_without_creation, "lost", "nothing before it in the log makes its strategies"),
        (_created_twice, "doubled", "its row is in strategies already"),
        (_started_twice, "reordered", "cannot follow the status 'running'"),
        (_of_no_known_type, "foreign", "no event of this type"),
    ],
)
def test_an_event_that_its_entity_cannot_have_is_found(
    harm: Callable[[Story], None], kind: str, text: str
) -> None:
    story = Story()
    harm(story)
    story.rechain(1)

    assert found(story.judge().findings, kind, "stream strategy/S-1", text)


def test_the_checker_knows_every_event_and_column_of_the_domain() -> None:
    events = {name: set(struct.__struct_fields__) for name, (_, struct) in DOMAIN.by_type.items()}

    assert {name: set(rule.members) for name, rule in RULES.items()} == events
    assert {t.name: (set(t.columns), t.key) for t in TABLES} == {
        name: (set(t.columns), t.key) for name, t in DOMAIN.tables.items()
    }
    assert {name: (kind.key, kind.stream) for name, kind in KINDS.items()} == {
        kind.name: (kind.key, len(kind.stream)) for kind in DOMAIN.kinds
    }


def test_a_topic_names_its_generation() -> None:
    assert generation_of("memferry.12") == 12
    with pytest.raises(ValueError, match="no topic with a generation"):
        generation_of("memferry")
