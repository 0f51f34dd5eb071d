"""Extraction files: what was written is read back equal, and what is wrong is named by its line."""

import gzip
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from eventlog.extraction.dump import dump
from eventlog.extraction.format import FileFormUnknown
from eventlog.extraction.reading import FileInvalid, Problem, Reader
from eventlog.extraction.survey import Held
from eventlog.extraction.writing import FileExists, OneKindOnly, write_extraction
from schemas.domain import Domain
from schemas.extraction import Selection
from schemas.validity import EventInvalid
from tests.domains.ledger import DOMAIN, Account, Reading
from tests.eventlog.extraction.holding import (
    NOW,
    SIGNAL,
    STRATEGY,
    account,
    accounts,
    readings,
    signal,
    signals,
    strategies,
    strategy,
)

DERIVED = Domain("derived", (STRATEGY, SIGNAL), "")
HEADER = b'{"format":"memferry.extraction","version":1}\n'
READING = b'{"kind":"reading","data":{"meter":"m","number":%d,"value":"1.50"}}\n'


def read(path: Path, domain: Domain = DOMAIN, kind: str = "") -> list[Any]:
    """Return the file's entities; demand that nothing is wrong with it."""
    problems: list[Problem] = []
    found = [
        stated.kind.evolve(None, stated.event)
        for stated in Reader(path, domain, kind).stated(problems.append)
    ]
    assert problems == []
    return found


def wrong(path: Path, domain: Domain = DOMAIN, kind: str = "") -> list[Problem]:
    problems: list[Problem] = []
    assert list(Reader(path, domain, kind).stated(problems.append)) == []
    return problems


def held() -> list[Held]:
    tagged = msgspec.structs.replace(account("t", "1e-18"), tags={"a,b": 'say "x"\nand y'})
    return [accounts(account("a", "0.10"), tagged), readings([Reading("m", 1, Decimal("2.50"))])]


def entities(held: list[Held]) -> list[Any]:
    return [entity for one in held for entity in one.copy()]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "X.NDJSON"])
def test_what_was_written_is_read_back_equal(tmp_path: Path, name: str) -> None:
    path = tmp_path / name

    counts = write_extraction(path, held(), DOMAIN, source="app-1", position=7)

    assert counts == {"account": 2, "reading": 1}
    assert read(path) == entities(held())
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert path.stat().st_mode & 0o077 == 0


def test_the_first_line_says_what_it_is_and_the_last_how_much(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"

    write_extraction(path, held(), DOMAIN, source="app-1", position=7)

    first, account_line, *_, last = map(msgspec.json.decode, path.read_bytes().splitlines())
    assert first.pop("taken_at").endswith("Z")
    assert first == {
        "format": "memferry.extraction", "version": 1, "source": "app-1", "domain": "ledger",
        "position": 7, "kinds": ["account", "reading"],
    }  # fmt: skip
    assert account_line["type"] == "ledger.account.snapshotted.v1"
    assert account_line["data"]["state"]["balance"] == "0.10"
    assert account_line["data"]["state"]["opened_at"] == "2026-01-02T12:00:00Z"
    assert last == {"entities": 3}


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz"])
def test_one_kind_is_read_back_from_csv(tmp_path: Path, name: str) -> None:
    kept = [
        signal("x", 1), signal("x", 2, by=None), signal('"y",\n', 3, by="s"), signal("\u00e9", 4)
    ]  # fmt: skip
    path = tmp_path / name

    write_extraction(path, [signals(*kept)], DERIVED)

    assert read(path, DERIVED, "signal") == kept


def test_a_wrapped_state_is_read_back_from_csv(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"

    write_extraction(path, held()[:1], DOMAIN)

    assert read(path, kind="account") == entities(held()[:1])


def test_a_csv_file_of_somebody_else_needs_only_the_fields_that_have_no_default(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("number,meter,value\n7,m,1.50\n8,m,2\n")

    assert read(path, kind="reading") == [
        Reading("m", 7, Decimal("1.50")), Reading("m", 8, Decimal(2))
    ]  # fmt: skip


def test_mutable_entities_are_written_and_read(tmp_path: Path) -> None:
    kept = [strategy("a", weight=3), strategy("b")]
    path = tmp_path / "x.jsonl"

    write_extraction(path, [strategies(*kept), signals(signal("x", 1))], DERIVED)

    assert read(path, DERIVED) == [*kept, signal("x", 1)]


def test_an_app_without_a_shim_dumps_its_containers(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    own: dict[str, Account] = {"a": account("a", 1)}

    counts = dump(path, DOMAIN, {"account": own})

    assert counts == {"account": 1}
    assert read(path) == [own["a"]]


def test_only_what_is_selected_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    kept = [account("a-1", hours=1), account("a-2", hours=5), account("b-1")]
    selection = Selection(kinds=("account",), keys=("a-*",), since=NOW.replace(hour=10))

    write_extraction(path, [accounts(*kept), *held()[1:]], DOMAIN, selection=selection)

    assert read(path) == kept[:1]


def test_a_file_that_is_there_is_not_written_over_unasked(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text("precious")

    with pytest.raises(FileExists):
        write_extraction(path, held(), DOMAIN)
    kept = path.read_text()
    write_extraction(path, held(), DOMAIN, force=True)

    assert kept == "precious"
    assert read(path) == entities(held())


def test_a_file_that_came_meanwhile_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"

    def late() -> Iterator[Any]:
        path.write_text("precious")
        return iter([account("a")])

    with pytest.raises(FileExists):
        write_extraction(path, [Held(DOMAIN.kind("account"), late)], DOMAIN)

    assert path.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["x.jsonl"]


def test_nothing_is_left_where_an_entity_may_not_reach_the_log(tmp_path: Path) -> None:
    held = [accounts(account("a"), account("bad", "NaN"))]

    with pytest.raises(EventInvalid, match="is NaN") as refused:
        write_extraction(tmp_path / "x.jsonl", held, DOMAIN)

    assert refused.value.where == "account bad"
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_says_no_form_and_a_table_of_two_kinds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileFormUnknown):
        write_extraction(tmp_path / "x.txt", held(), DOMAIN)
    with pytest.raises(OneKindOnly, match="there are 2"):
        write_extraction(tmp_path / "x.csv", held(), DOMAIN)
    with pytest.raises(FileInvalid, match="does not say of which kind"):
        Reader(tmp_path / "x.csv", DOMAIN)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{", "Input data was truncated"),
        (b'{"kind":"reading"}', "missing required field `data`"),
        (b'{"kind":"trade","data":{}}', "no kind 'trade' in the domain"),
        (b'{"kind":"reading","type":"x.v1","data":{}}', "its type is 'x.v1'"),
        (b'{"kind":"reading","data":{"meter":"m"}}', "missing required field `number`"),
        (READING.replace(b'"1.50"', b'"NaN"') % 1, "NaN"),
        (READING.replace(b"%d", b'"1"'), "Expected `int`, got `str`"),
        (b'{"kind":"account","type":"ledger.account.opened.v1","data":{}}', "its type is"),
        (
            b'{"kind":"account","data":{"account":"a","state":{"account":"b","owner":"o",'
            b'"balance":"1","opened_at":"2026-01-01T00:00:00Z"}}}',
            "another key",
        ),
        (
            b'{"kind":"account","data":{"account":"a","state":{"account":"a","owner":"o",'
            b'"balance":"1","opened_at":"2026-01-01T00:00:00"}}}',
            "timezone",
        ),
    ],
)
def test_a_wrong_line_is_told_with_its_number(tmp_path: Path, line: bytes, said: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(HEADER + b"\n" + line.strip() + b'\n{"entities":1}\n')

    (problem,) = wrong(path)

    assert problem.line == 3
    assert said in problem.what


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("m,x,1", "Expected `int`, got `str`"),
        ("m,1", "2 values, 3 fields"),
        ("m,1,2,3", "4 values, 3 fields"),
        ("m,1,", "missing required field `value`"),
        ('m,"1,""x"":2",1', "Expected `int`, got `str`"),
        ("m,1.5,1", "Expected `int`, got `float`"),
    ],
)
def test_a_wrong_row_is_told_with_its_number(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(f"meter,number,value\n{row}\n")

    (problem,) = wrong(path, kind="reading")

    assert problem.line == 2
    assert said in problem.what


def test_a_field_that_there_is_not_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("meter,number,value,colour\nm,1,1,red\n")

    assert wrong(path, kind="reading") == [Problem(2, "reading has no field 'colour'")]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "its first line must be a header"),
        (b'{"format":"other","version":1}\n', "its first line must be a header"),
        (HEADER.replace(b"1", b"2"), "version 2, this memferry reads version 1"),
        (HEADER, "its last line is missing: the file was cut short"),
        (HEADER + READING % 1, "its last line is missing"),
        (HEADER + READING % 1 + b'{"entities":2}\n', "its last line 3 does not count 1"),
        (HEADER + b'{"entities":0}\n' + READING % 1, "line 3 stands behind the last one"),
    ],
)
def test_a_file_that_is_not_whole_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(content)

    with pytest.raises(FileInvalid, match=said):
        list(Reader(path, DOMAIN).stated(lambda _: None))


def test_a_compressed_file_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.gz"
    path.write_bytes(gzip.compress(HEADER + READING % 1 + b'{"entities":1}\n')[:-9])

    with pytest.raises(FileInvalid):
        list(Reader(path, DOMAIN).stated(lambda _: None))


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileInvalid, match="No such file"):
        list(Reader(tmp_path / "x.jsonl", DOMAIN).stated(lambda _: None))
