"""Extraction files of an earlier version of the app are read as today's."""

from decimal import Decimal
from pathlib import Path

from eventlog.extraction.reading import Problem, Reader
from tests.domains import versioned

HEADER = b'{"format":"memferry.extraction","version":1}\n'


def test_entities_of_earlier_versions_are_read_as_of_today(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    line = b'{"kind":"fee","type":"versioned.fee.charged.v%d","data":{"fee":"f",%s}}\n'
    lines = [line % (1, b'"cents":250'), line % (2, b'"amount":"2.5","currency":"USD"')]
    path.write_bytes(HEADER + b"".join(lines) + b'{"entities":2}\n')

    problems: list[Problem] = []
    stated = list(Reader(path, versioned.DOMAIN).stated(problems.append))

    charged = versioned.FeeCharged("f", Decimal("2.5"), "USD", "not said")
    assert problems == []
    assert [one.event for one in stated] == [charged, charged]


def test_a_step_that_fails_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    line = b'{"kind":"fee","type":"versioned.fee.charged.v1","data":{"fee":"f","cents":"x"}}\n'
    path.write_bytes(HEADER + line + b'{"entities":1}\n')
    problems: list[Problem] = []

    assert list(Reader(path, versioned.DOMAIN).stated(problems.append)) == []

    assert [(one.line, one.what) for one in problems] == [
        (2, "Expected `int`, got `str` - at `$.cents`")
    ]
