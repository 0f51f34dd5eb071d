"""`memferry import`: a file into the outbox of an app that does not run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.settings import Settings
from tests.compose.cli.conftest import Done, variables

ROWS = "meter,number,value\nm,1,1.50\nm,2,2\nn,1,3\n"


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "x.csv").write_text(ROWS)
    return "x.csv"


def test_a_file_is_recorded_and_again_leaves_what_is_there(
    file: str, settings: Settings, memferry: Callable[..., Done]
) -> None:
    command = ("import", file, "--kind", "reading")
    environment = variables(settings) | {"MEMFERRY_OUTBOX_PATH": "outbox.db"}

    first = memferry(*command, environment=environment)
    again = memferry(*command, "--json", environment=environment)

    assert first.code == again.code == 0, first.err + again.err
    assert "3 reading in the file; 2 streams recorded for source app-1" in first.out
    assert again.json() == {"entities": {"reading": 3}, "recorded": 0, "known": 2}


def test_a_file_with_a_wrong_line_ends_with_2_and_names_it(
    file: str, tmp_path: Path, settings: Settings, memferry: Callable[..., Done]
) -> None:
    (tmp_path / file).write_text(ROWS + "n,x,3\n")

    done = memferry("import", file, "--kind", "reading", environment=variables(settings))

    assert (done.code, done.out) == (2, "")
    assert "1 lines may not be recorded, nothing was" in done.said
    assert "line 5: Expected `int`, got `str`" in done.said
