"""Every event that was ever written is read as it was meant, and does what it did."""

import shutil
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from projector.apply import Applier
from projector.batch import Handler
from projector.checkpoint import claim
from projector.control_tables import establish
from projector.lanes import LaneBook
from projector.transaction import Transactions
from schemas import envelope
from schemas.settings import Settings
from tests.golden import add, files
from tests.golden.files import DOMAINS, LANE, Story, digest_of, read
from tests.projector.app import record


@pytest.mark.parametrize("name", DOMAINS)
def test_no_line_was_changed(name: str) -> None:
    before = ""
    for number, line in enumerate(read(name), 1):
        assert line.digest == digest_of(line, before), f"line {number}"
        before = line.digest


@pytest.mark.parametrize("name", DOMAINS)
def test_every_type_and_version_has_a_line(name: str) -> None:
    written = {envelope.decode(line.value).type for line in read(name)}

    missing = DOMAINS[name].readers.keys() - written
    assert not missing, f"append them: python -m tests.golden.add {name} TYPE STREAM DATA"


@pytest.mark.parametrize("name", DOMAINS)
def test_every_event_does_what_it_did(name: str) -> None:
    story = Story(DOMAINS[name])

    for number, line in enumerate(read(name), 1):
        changes, rows = story.tell(envelope.decode(line.value))
        assert changes == line.changes, f"line {number}"
        assert rows == line.rows, f"line {number}"


def test_a_line_is_appended_behind_those_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read("versioned")
    shutil.copy(files.DIRECTORY / "versioned.jsonl", tmp_path)
    for module in (add, files):
        monkeypatch.setattr(module, "DIRECTORY", tmp_path)

    data = b'{"fee":"F-9","amount":"1","currency":"EUR"}'
    added = add.add("versioned", "versioned.fee.charged.v2", "fee/F-9", data)

    assert read("versioned") == [*before, added]
    assert added.digest == digest_of(added, before[-1].digest)
    assert added.rows == [["fees", ["F-9", "1", "EUR", "not said"]]]
    with pytest.raises(KeyError, match="charged"):
        add.add("versioned", "versioned.fee.charged.v9", "fee/F-9", data)
    assert read("versioned") == [*before, added]


@pytest.mark.parametrize("name", DOMAINS)
def test_the_tables_take_every_event(
    settings: Settings, database: psycopg.Connection[Any], name: str
) -> None:
    domain, lines, story = DOMAINS[name], read(name), Story(DOMAINS[name])
    projection = establish(database, settings, domain, 1)
    held = claim(database, projection, "live")
    applier = Applier(database, projection.name, domain.tables.values())
    transactions = Transactions(database, applier, domain, held)
    handler = Handler(domain, LaneBook(1, {}, {LANE.source}))
    log = [record("log.1", 0, offset, line.value) for offset, line in enumerate(lines)]

    stops = transactions.apply([handler.segment(0, 0, log, None)])

    assert stops == []
    assert (transactions.applied, transactions.parked) == (len(lines), 0)
    for line in lines:
        story.tell(envelope.decode(line.value))
    for table in domain.tables.values():
        columns = ", ".join(table.columns)
        found = database.execute(f"SELECT {columns} FROM {projection.name}.{table.name}").fetchall()
        expected = [
            row
            for (kind, _), entity in story.entities.items()
            for its_table, row in domain.kind(kind).rows(entity)
            if its_table is table
        ]
        assert sorted(map(repr, found)) == sorted(map(repr, map(_as_read, expected)))


def _as_read(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row as psycopg reads it: documents as plain values."""
    return tuple(
        msgspec.to_builtins(value) if isinstance(value, dict | list) else value for value in row
    )
