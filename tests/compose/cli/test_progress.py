import pytest

from compose.cli.progress import StatusLine
from projector.runner import Progress


def test_where_there_is_no_terminal_progress_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with StatusLine("project ledger") as show:
        show(Progress(applied=1_234, lag=0))
        for _ in range(100):
            show(Progress(applied=1_300, lag=0))

    said = capsys.readouterr()
    assert said.out == ""
    (line,) = " ".join(said.err.split()).split("project ledger")[1:]
    assert line.startswith(" 1,234 events ")
    assert "lag 0" in line
    assert " MB " in line
    assert line.endswith("waiting for events")


def test_a_lag_has_a_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with StatusLine("project ledger") as show:
        show(Progress(applied=10, lag=5_000))

    line = " ".join(capsys.readouterr().err.split())
    assert "lag 5,000" in line
    assert line.endswith("s behind")


def test_a_known_total_has_a_share_and_a_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    with StatusLine("replay ledger", total=2_000) as show:
        show(Progress(applied=500, lag=1_500))

    line = " ".join(capsys.readouterr().err.split())
    assert "500/2,000 (25%) events" in line
    assert line.endswith("s left")
