"""The checker holds the log against the journal: acknowledgements, order, memory at attach."""

from pathlib import Path

import pytest

from tests.checker.__main__ import main
from tests.checker.journal import JournalInvalid, parse_journal
from tests.checker.story import TRADE, Story, found


def test_a_torn_line_before_a_restart_is_clean_and_counted() -> None:
    story = Story()
    story.journal += [b'{"id":"x","str', b'{"restarted":"2026-03-02T12:00:00Z"}\n', b'{"id":"y']
    story.journal[-3:-1] = [b"".join(story.journal[-3:-1])]

    verdict = story.judge()

    assert verdict.clean, str(verdict)
    assert verdict.counts.torn == 2


def test_a_line_that_no_kill_explains_is_an_error() -> None:
    story = Story()
    story.journal[3] = story.journal[3][:-9] + b"\n"

    with pytest.raises(JournalInvalid, match="line 4"):
        story.judge()


def test_a_journal_in_another_order_than_the_log_is_reordered() -> None:
    story = Story()
    story.journal[2], story.journal[3] = story.journal[3], story.journal[2]

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "reordered", "stream trade/T-1", "journal entry 1", "entry 2", "seq 2")


def test_a_baseline_entity_without_a_snapshot_is_lost() -> None:
    story = Story()
    story.journal.insert(0, story.journal[0].replace(b'"T-1"', b'"T-0"'))

    assert [f.kind for f in story.judge().findings] == ["lost"]
    assert found(story.judge().findings, "lost", "stream trade/T-0", "entity T-0")
    assert story.judge(snapshot_complete=False).clean


def test_a_baseline_entity_whose_stream_has_mutations_is_lost_in_any_case() -> None:
    story = Story()
    story.journal.insert(0, story.journal[1].replace(b"12:00:00Z", b"11:00:00Z"))

    findings = story.judge(snapshot_complete=False).findings

    assert found(findings, "lost", "stream market_data/BTC", "11:00:00Z", "has mutations")


def test_a_snapshot_unlike_memory_is_altered_and_a_second_one_doubled() -> None:
    story = Story()
    story.journal[0] = story.journal[0].replace(b'"quantity": "2"', b'"quantity": "3"')
    story.write(0, "trade/T-1", "trading.trade.snapshotted.v1", TRADE)

    findings = story.judge().findings

    assert found(findings, "altered", "trade/T-1", "seq 1", "quantity: expected '3', found '2'")
    assert found(findings, "doubled", "trade/T-1", "seq 5", "second snapshot")
    assert found(findings, "reordered", "trade/T-1", "seq 5", "behind a mutation")


def test_a_snapshot_of_what_was_not_in_memory_is_foreign() -> None:
    story = Story()
    del story.journal[0]

    assert found(story.judge().findings, "foreign", "trade/T-1", "seq 1")


def test_an_id_acknowledged_twice_is_doubled() -> None:
    story = Story()
    journal = parse_journal([*story.journal, story.journal[-1]])

    assert found(journal.findings, "doubled", "journal line 12", "id-1-8")


@pytest.mark.parametrize(
    ("topic", "complaint"), [("memferry.1", "FileNotFoundError"), ("memferry", "generation")]
)
def test_what_cannot_be_checked_is_an_error_and_no_verdict(
    topic: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = {"journal": tmp_path / "none", "bootstrap": "-", "dsn": "-", "schema": "-"}

    code = main(
        ["--topic", topic, *(text for n, v in arguments.items() for text in (f"--{n}", f"{v}"))]
    )

    printed = capsys.readouterr()
    assert (code, printed.out) == (2, "")
    assert complaint in printed.err
