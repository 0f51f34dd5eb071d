import pytest

from compose.cli.progress import StatusLine, View
from projector.migration.progress import MigrationProgress
from projector.progress import PartitionProgress, Progress


def line_of(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    return line


def test_where_there_is_no_terminal_progress_is_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with StatusLine() as line:
        show = line.of_projector("project ledger")
        show(Progress(1_234, partitions={0: PartitionProgress(1_234, lag=0)}))
        for _ in range(100):
            show(Progress(1_300, partitions={0: PartitionProgress(1_300, lag=0)}))

    said = line_of(capsys)
    assert said.startswith("project ledger  1,234 events  lag 0  ")
    assert said.endswith(" MB  waits 0 s for events")


def test_a_lag_that_is_not_known_is_no_number_and_parked_events_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with StatusLine() as line:
        line.show(View("project", 10, lag=None, parked=2))

    assert line_of(capsys).startswith("project  10 events  parked 2  lag ?  ")


def test_each_phase_of_a_migration_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with StatusLine() as line:
        line.of_migration(MigrationProgress("PREPARING", 1, 10, waits_for="a projector"))
        line.of_migration(MigrationProgress("PREPARING", 1, 10, waits_for="a projector"))
        line.of_migration(
            MigrationProgress("INCREMENTAL_SYNC", 5, 10, 900, 1_000, "records", lag=100)
        )

    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("1/10 PREPARING  lag 0  ")
    assert first.endswith("waits 0 s for a projector")
    assert second.startswith("5/10 INCREMENTAL_SYNC  900/1,000 (90%) records  lag 100  ")


def test_a_rate_gives_a_time_left(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("compose.cli.progress.time.monotonic", lambda: now[0])
    with StatusLine() as line:
        line.show(View("replay", 0, 2_000))
        now[0] += 10
        line.show(View("replay", 500, 2_000, lag=1_500))

    _, said = capsys.readouterr().err.splitlines()
    assert "500/2,000 (25%) events  50/s  lag 1,500" in said
    assert said.endswith("30 s left")


def test_without_a_total_the_rate_says_how_long_the_lag_takes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr("compose.cli.progress.time.monotonic", lambda: now[0])
    with StatusLine() as line:
        line.show(View("project", 10))
        now[0] += 10
        line.show(View("project", 1_010, lag=5_000))

    _, said = capsys.readouterr().err.splitlines()
    assert said.endswith("50 s behind")
