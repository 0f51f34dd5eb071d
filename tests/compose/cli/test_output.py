import pytest

from compose.cli.output import print_error, print_json
from schemas.errors import FerryError


def test_an_error_is_what_where_and_what_next_on_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_error(FerryError("it broke", where="here", remedy="mend it"))

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["error it broke", "  where here", "  next  mend it"]


def test_an_error_without_place_or_remedy_has_no_empty_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_error(FerryError("it broke"))

    assert capsys.readouterr().err == "error it broke\n"


@pytest.mark.parametrize(
    "text", ["partitions [2]", "[bold]x[/bold]", "[/]", r"C:\[x]", "\\", r"a\\[b]", "[link=x]y"]
)
def test_what_is_said_is_never_taken_for_markup(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    print_error(FerryError(text, where=text, remedy=text))

    assert capsys.readouterr().err.splitlines() == [
        f"error {text}", f"  where {text}", f"  next  {text}"
    ]  # fmt: skip


def test_a_document_is_one_json_value_on_standard_output(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_json({"b": [1, {"x": None}], "ä": "ü"})

    said = capsys.readouterr()
    assert said.out == '{\n  "b": [\n    1,\n    {\n      "x": null\n    }\n  ],\n  "ä": "ü"\n}\n'
    assert said.err == ""
