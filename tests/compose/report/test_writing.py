import os
import threading
from pathlib import Path

import pytest

from compose.report.writing import ReportNotWritten, write_whole


@pytest.mark.parametrize("name", ["no/such/report.html", "directory", "file/report.html"])
def test_a_path_that_cannot_be_written_is_refused_with_place_and_remedy(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    path = tmp_path / name

    with pytest.raises(ReportNotWritten) as raised:
        write_whole(path, "text")

    assert raised.value.where == str(path)
    assert raised.value.remedy
    assert {one.name for one in tmp_path.iterdir()} == {"file", "directory"}


def test_a_failed_write_leaves_the_earlier_report_and_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / ("r" * 250)  # the name of what is written beside is too long
    path.write_text("earlier")

    with pytest.raises(ReportNotWritten):
        write_whole(path, "new")

    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path: Path) -> None:
    link, target = tmp_path / "link", tmp_path / "target"
    target.write_text("earlier")
    link.symlink_to(target)

    write_whole(link, "new")

    assert link.is_symlink()
    assert target.read_text() == "new"


def test_a_pipe_is_written_to_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()

    write_whole(pipe, "text")

    reader.join(10)
    assert read == ["text"]
    assert pipe.is_fifo()


def test_what_utf_8_cannot_write_is_written_out(tmp_path: Path) -> None:
    write_whole(tmp_path / "report", "ä\ud800")

    assert (tmp_path / "report").read_text("utf-8") == "ä\\ud800"
