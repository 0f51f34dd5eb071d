"""The checker finds every fault of a log, and nothing in a log without one."""

import ast
import json
import re
from pathlib import Path

import pytest

from tests import checker
from tests.checker import Finding
from tests.checker.event import Record, read_event
from tests.checker.lane import Lane, LaneName
from tests.checker.story import Story, change, found

OURS = {"schemas", "eventlog", "projector", "compose"}


def test_nothing_is_shared_with_what_is_checked() -> None:
    for file in sorted(Path(checker.__file__).parent.glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, file
                modules = [node.module or ""]
            else:
                continue
            tops = {module.split(".")[0] for module in modules}
            assert not tops & (OURS | {"importlib"}), file
            assert all(m.startswith("tests.checker") for m in modules if m.startswith("tests"))


def test_a_story_without_a_fault_is_clean_and_counted() -> None:
    verdict = Story().judge()

    assert verdict.clean, str(verdict)
    counts = verdict.counts
    assert (counts.acknowledged, counts.baseline, counts.in_log) == (9, 2, 11)
    assert (counts.snapshots, counts.unacknowledged, counts.control) == (2, 0, 1)
    assert (counts.records, counts.resends, counts.folded) == (12, 0, 11)
    assert counts.rows["market_bars"] == 2
    assert str(verdict).startswith("clean")


def test_a_resent_run_is_clean_and_counted() -> None:
    story = Story()
    story.log[1] += story.log[1][-3:]
    story.log[0][2:2] = story.log[0][:2]

    verdict = story.judge()

    assert verdict.clean, str(verdict)
    assert verdict.counts.resends == 5


def test_an_unacknowledged_tail_is_clean_and_counted() -> None:
    story = Story()
    data = {"strategy_id": "S-1", "at": "2026-03-02T12:00:00Z", "at_ns": 1772452800000000001}
    story.write(1, "strategy/S-1", "trading.strategy.paused.v1", data)
    story.tables["strategies"][0] |= {"status": "paused", "updated_at_ns": 1772452800000000001}

    verdict = story.judge()

    assert verdict.clean, str(verdict)
    assert verdict.counts.unacknowledged == 1


def test_a_dropped_event_is_lost() -> None:
    story = Story()
    del story.log[0][1]

    findings = story.judge().findings

    assert found(findings, "lost", "lane app/g1/p0", "seq 2", "before offset 1")
    assert found(findings, "lost", "stream trade/T-1", "partition 0", "seq 2", "id-0-2")


def test_a_run_at_the_end_of_a_lane_is_lost_by_the_journal() -> None:
    story = Story()
    del story.log[1][-2:]

    findings = story.judge().findings

    assert found(findings, "lost", "stream portfolio/P-1", "partition 1", "seq 8", "id-1-8")
    assert found(findings, "lost", "stream execution/E-1", "seq 7")


def test_a_lost_acknowledged_mutation_is_found_under_a_forged_chain() -> None:
    story = Story()
    del story.log[1][7]
    story.rechain(1)

    findings = story.judge().findings

    assert found(findings, "lost", "stream portfolio/P-1", "partition 1", "seq 8", "id-1-8")


def test_a_swapped_pair_is_reordered() -> None:
    story = Story()
    lane = story.log[0]
    lane[1], lane[2] = lane[2], lane[1]

    findings = story.judge().findings

    assert found(findings, "reordered", "lane app/g1/p0", "seq 2", "offset 2", "behind seq 3")
    assert not found(findings, "lost", "lane")


def test_an_altered_byte_in_a_swapped_pair_breaks_the_chain_all_the_same() -> None:
    story = Story()
    lane = story.log[0]
    lane[1], lane[2] = lane[2], lane[1].replace(b'"time":"2026', b'"time":"2027')

    assert found(story.judge().findings, "altered", "seq 3", "offset 1", "seq 2 at offset 2")


def test_a_swapped_pair_is_reordered_under_a_forged_chain() -> None:
    story = Story()
    lane = story.log[0]
    lane[1], lane[2] = lane[2], lane[1]
    story.rechain(0)

    findings = story.judge().findings

    assert found(findings, "reordered", "offset 2", "id-0-2", "behind entry 2", "same stream")
    assert found(findings, "reordered", "offset 1", "id-0-3", "seq 3", "it has 2")


@pytest.mark.parametrize("place", range(3))
def test_an_altered_byte_breaks_the_chain_behind_it(place: int) -> None:
    story = Story()
    story.log[0][place] = story.log[0][place].replace(b'"time":"2026', b'"time":"2027')

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(
        findings, "altered", "lane app/g1/p0", f"seq {place + 2}", "partition 0",
        f"offset {place + 1}", f"seq {place + 1} at offset {place}",
    )  # fmt: skip


def test_a_lane_that_begins_another_ones_chain_is_altered() -> None:
    story = Story()
    change(story.log[0], 0, chain="0" * 64)

    assert found(story.judge().findings, "altered", "lane app/g1/p0", "seq 1", "the lane's name")


def test_data_altered_under_a_forged_chain_is_found_by_the_journal() -> None:
    story = Story()
    event = json.loads(story.log[1][5])
    change(story.log[1], 5, data=event["data"] | {"symbol": "ETH"})
    story.rechain(1)

    findings = story.judge().findings

    assert found(findings, "altered", "stream execution/E-1", "symbol: expected 'BTC', found 'ETH'")
    assert not found(findings, "altered", "chain")


@pytest.mark.parametrize(
    "members", [{"type": "trading.strategy.stopped.v1"}, {"subject": "strategy/S-2"}]
)
def test_a_type_or_stream_that_was_not_acknowledged_is_altered(members: dict[str, str]) -> None:
    story = Story()
    change(story.log[1], 3, **members)
    story.rechain(1)

    name = "type" if "type" in members else "stream"
    assert found(story.judge().findings, "altered", "id-1-4", f"acknowledged with {name}")


def test_an_event_that_comes_again_under_a_new_number_is_doubled() -> None:
    story = Story()
    event = json.loads(story.log[0][3])
    story.write(0, event["subject"], event["type"], event["data"], event_id=event["id"])

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "doubled", "stream trade/T-1", "seq 5", "offset 4", "id-0-4", "offset 3")


def test_a_number_that_comes_again_with_other_bytes_is_altered() -> None:
    story = Story()
    story.log[0].append(story.log[0][3].replace(b'"epoch":1', b'"epoch":2'))

    findings = story.judge().findings

    assert len(findings) == 1
    assert found(findings, "altered", "lane app/g1/p0", "seq 4", "offset 4", "offset 3")


def test_an_epoch_that_falls_is_altered() -> None:
    findings: list[Finding] = []
    lane = Lane(LaneName("app", 1, 0), findings)
    lane.admit(b"a", 1, 2, "", 0)

    lane.admit(b"b", 2, 1, "", 1)

    assert found(findings, "altered", "seq 2", "epoch 1 follows epoch 2")


def test_a_record_that_is_no_event_is_altered() -> None:
    story = Story()
    story.log[0][1] = story.log[0][1].replace(b'"seq":"2"', b'"seq":"2","seq":"2"')

    findings = story.judge().findings

    assert found(findings, "altered", "partition 0, offset 1", "twice")


@pytest.mark.parametrize(
    ("key", "old", "new", "complaint"),
    [
        (b"trade/T-2", b"", b"", "its key is b'trade/T-2'"),
        (None, b"", b"", "its key is None"),
        (b"trade/T-1", b'"specversion":"1.0"', b'"specversion":"1.1"', "specversion is '1.1'"),
        (b"trade/T-1", b'"seq":"2"', b'"seq":"02"', "seq is '02'"),
        (b"trade/T-1", b'"seq":"2"', b'"seq":2', "seq is 2, not text"),
        (b"trade/T-1", b'"epoch":1', b'"epoch":true', "epoch is True"),
        (b"trade/T-1", b'"epoch":1', b'"epoch":NaN', "NaN is no JSON number"),
        (b"trade/T-1", b'"data":{', b'"datum":{', "data is not a JSON object"),
        (b"trade/T-1", b'{"spec', b'[{"spec', "Expecting"),
        (b"trade/T-1", b'"id":"id', b'"id":"\xff', "utf-8"),
    ],
)
def test_a_record_says_why_it_is_no_event(
    key: bytes | None, old: bytes, new: bytes, complaint: str
) -> None:
    value = Story().log[0][1].replace(old, new)

    with pytest.raises(ValueError, match=re.escape(complaint)):
        read_event(Record(0, 1, key, value))


def test_a_record_without_a_value_is_no_event() -> None:
    with pytest.raises(ValueError, match="no value"):
        read_event(Record(0, 1, b"trade/T-1", None))


def test_a_stream_in_two_partitions_is_reordered() -> None:
    story = Story()
    event = json.loads(story.log[0][3])
    story.write(1, event["subject"], event["type"], event["data"])

    assert found(
        story.judge().findings, "reordered", "stream trade/T-1", "partition 1", "in partition 0 too"
    )
