"""A file's records: its entities, and each wrong line with its number."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from compose.extraction_file import FileMissing, file_source, kinds_named
from eventlog.extraction.format import FileFormUnknown
from eventlog.extraction.reading import FileInvalid
from projector.audit.records.record import Record
from tests.domains.ledger import DOMAIN, READING, Reading

HEADER = '{"format":"memferry.extraction","version":1,"kinds":["reading"]}\n'
LINE = '{{"kind":"reading","data":{{"meter":"m","number":{number},"value":"1.5"{more}}}}}\n'


def line(number: object, more: str = "") -> str:
    return LINE.format(number=number, more=more)


def whole(*lines: str) -> str:
    return HEADER + "".join(lines) + f'{{"entities":{len(lines)}}}\n'


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    def make(text: str, name: str = "x.jsonl") -> Path:
        path = tmp_path / name
        content = text.encode("utf-8", "surrogateescape")
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        return path

    return make


def read(path: Path, kind: str = "") -> tuple[list[Record], str]:
    found: list[Record] = []
    position = file_source(path, DOMAIN, kind).read(found.append)
    return found, position


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.jsonl.gz"])
def test_every_entity_is_given_with_its_line_and_key(name: str, write: Callable[..., Path]) -> None:
    found, position = read(write(whole(line(1), line(2)), name))

    assert [(r.place, r.kind, r.key, r.error) for r in found] == [
        ("line 2", READING, "m/1", ""), ("line 3", READING, "m/2", "")
    ]  # fmt: skip
    assert type(found[0].entity) is Reading
    assert not any(record.step for record in found)
    assert position == "2 entities of the file"


def test_csv_and_json_lines_give_the_same_entities(write: Callable[..., Path]) -> None:
    rows = "meter,number,value\nm,1,1.5\nm,2,1.5\n"

    as_csv, _ = read(write(rows, "x.csv"), "reading")
    as_lines, _ = read(write(whole(line(1), line(2))))

    assert [r.entity for r in as_csv] == [r.entity for r in as_lines]
    assert [r.key for r in as_csv] == [r.key for r in as_lines]


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (line('"one"'), "Expected `int`, got `str`"),
        (line("null"), "Expected `int`, got `null`"),
        ('{"kind":"reading","data":{"meter":"m","number":1}}\n', "missing required field `value`"),
        ('{"kind":"gauge","data":{}}\n', "there is no kind 'gauge'"),
        ('{"kind":"reading","type":"ledger.x.v1","data":{}}\n', "its type is 'ledger.x.v1'"),
        ('{"kind":"reading"\n', "truncated"),
        ("nonsense\n", "malformed"),
        (line(1).replace("1.5", "NaN"), "is not a number"),
        (line(1).replace('"m"', '"\udcff"'), "utf-8"),
        (line(2), "reading m/2 stands in line 2 already"),
        (line(3, ',"colour":"red"'), "undeclared fields colour"),
    ],
)
def test_a_wrong_line_is_an_error_with_its_number_and_the_others_are_read(
    bad: str, said: str, write: Callable[..., Path]
) -> None:
    found, _ = read(write(whole(line(2), bad, line(4))))

    wrong = [record for record in found if record.error]
    assert [record.place for record in wrong] == ["line 3"]
    assert said.lower() in wrong[0].error.lower()
    assert wrong[0].entity is None
    assert wrong[0].fault == "unreadable"
    assert {r.place for r in found if r.entity is not None} >= {"line 2", "line 4"}


def test_every_wrong_line_is_told_not_only_the_first_ones(write: Callable[..., Path]) -> None:
    found, _ = read(write(whole(*(line(f'"{n}"') for n in range(50)))))

    assert [record.place for record in found] == [f"line {n}" for n in range(2, 52)]
    assert all(record.error for record in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER + line(1), "its last line is missing: the file was cut short"),
        (HEADER + line(1) + '{"entities":2}\n', "does not count 1"),
        (whole(line(1)) + line(2), "stands behind the last one"),
        (line(1), "its first line must be a header"),
        (whole(line(1)).replace('"version":1', '"version":2'), "it has version 2"),
    ],
)
def test_a_file_that_is_not_whole_is_refused_with_the_next_step(
    text: str, said: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(FileInvalid) as refused:
        read(write(text))

    assert said in refused.value.what
    assert "docs/extraction.md" in refused.value.remedy


def test_a_compressed_file_that_was_cut_is_refused(write: Callable[..., Path]) -> None:
    path = write(whole(*(line(n) for n in range(100))), "x.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-20])

    with pytest.raises(FileInvalid, match="Compressed file ended"):
        read(path)


def test_no_file_a_directory_and_an_empty_file_are_told_apart(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    for path, said in (
        (tmp_path / "tabels", "there is no file"),
        (tmp_path, "is a directory"),
        (write("", "empty.jsonl"), "is empty"),
    ):
        with pytest.raises(FileMissing, match=said) as refused:
            file_source(path, DOMAIN)
        assert refused.value.remedy


def test_a_name_that_says_nothing_and_a_csv_file_without_a_kind_are_refused(
    write: Callable[..., Path],
) -> None:
    with pytest.raises(FileFormUnknown):
        file_source(write("x", "x.txt"), DOMAIN)
    with pytest.raises(FileInvalid, match="of which kind"):
        file_source(write("meter\n", "x.csv"), DOMAIN)


def test_a_header_names_the_kinds(write: Callable[..., Path]) -> None:
    assert kinds_named(write(whole())) == ["reading"]
    assert kinds_named(write("nonsense")) == []
    assert kinds_named(write("meter\n", "x.csv")) == []
