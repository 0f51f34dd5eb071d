"""The file that says how far a relay in another process has come."""

from pathlib import Path

from eventlog.marks import MarkFile
from schemas.errors import FerryError


def test_what_was_written_last_is_read_by_others(tmp_path: Path) -> None:
    mine, theirs = MarkFile(tmp_path / "o.db"), MarkFile(tmp_path / "o.db")
    assert theirs.read() == 0

    for row in (1, 123_456_789, 7, 2**62):
        mine.write(row)

        assert theirs.read() == row

    mine.close()
    theirs.close()


def test_a_file_that_was_spoilt_says_nothing(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path / "o.db")
    (tmp_path / "o.db.mark").write_bytes(b"\xff\x00 what is this")

    assert marks.read() == 0
    marks.write(5)
    assert marks.read() == 5
    marks.close()


def test_the_file_is_the_users_alone(tmp_path: Path) -> None:
    MarkFile(tmp_path / "o.db").close()

    assert (tmp_path / "o.db.mark").stat().st_mode & 0o777 == 0o600


def test_why_a_relay_stopped_is_read_until_the_next_one_begins(tmp_path: Path) -> None:
    mine, theirs = MarkFile(tmp_path / "o.db"), MarkFile(tmp_path / "o.db")
    assert theirs.explanation() is None
    mine.write(41)

    mine.explain(FerryError("it is broken", where="here", remedy="mend it"))

    assert theirs.explanation() == ("it is broken", "here", "mend it")
    assert theirs.read() == 41
    mine.begin()
    assert theirs.explanation() is None
    assert theirs.read() == 41
    mine.close()
    theirs.close()


def test_half_an_explanation_is_none(tmp_path: Path) -> None:
    marks = MarkFile(tmp_path / "o.db")
    marks.write(41)
    with (tmp_path / "o.db.mark").open("ab") as file:
        file.write(b'["it is bro')

    assert marks.explanation() is None
    assert marks.read() == 41
    marks.close()
