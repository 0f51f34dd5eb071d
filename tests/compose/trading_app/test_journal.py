from pathlib import Path
from typing import Any

import msgspec

from compose.trading_app.journal import Journal
from compose.trading_app.recording import Recorded
from eventlog import Receipt
from eventlog.receipts import Promises
from schemas.trading import DOMAIN
from tests.compose.trading_app.trading import trade


def lines(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def receipt(number: int) -> Receipt:
    durable = Receipt(Promises(), f"id-{number}", 2, "trade/T-1", b"", b"")
    durable.seq = number
    return durable


def test_the_baseline_comes_first_and_once(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    desk = trade(100).desk
    baseline = {kind: desk.recording.entities(kind) for kind in desk.recording.stores}

    Journal(path, baseline).close()
    Journal(path, baseline).close()

    *first, last = lines(path)
    assert len(first) == sum(map(len, baseline.values()))
    entities = [DOMAIN.kind(line["baseline"]).entity for line in first]
    decoded = [
        msgspec.convert(line["entity"], entity, strict=False)
        for line, entity in zip(first, entities, strict=True)
    ]
    assert decoded == [entity for group in baseline.values() for entity in group]
    assert list(last) == ["restarted"]


def test_acknowledged_mutations_follow_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    events = trade(3).events
    journal = Journal(path, {})

    journal.acknowledge(
        [Recorded(event, receipt(number)) for number, event in enumerate(events)], "app"
    )

    written = lines(path)
    assert [line["seq"] for line in written] == list(range(len(events)))
    assert all(
        (line["source"], line["partition"], line["stream"]) == ("app", 2, "trade/T-1")
        for line in written
    )
    for line, event in zip(written, events, strict=True):
        assert line["type"] == DOMAIN.type_of[type(event)]
        assert msgspec.json.decode(msgspec.json.encode(line["data"]), type=type(event)) == event


def test_a_line_torn_by_a_kill_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(b'{"baseline":"trade","entity":{}}\n{"id":"1","str')

    Journal(path, {}).close()

    assert [next(iter(line)) for line in lines(path)] == ["baseline", "restarted"]
