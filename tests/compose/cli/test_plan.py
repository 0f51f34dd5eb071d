import io
import os
import pty
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from rich.console import Console

from compose.cli.plan import NotConfirmed, confirm, show_plan
from projector.replay.difference import RowSample, TableDifference
from projector.replay.discarded import Discarded, EventCount, ParkedTouched
from projector.replay.plan import Plan
from projector.replay.units import SplitUnit

WIDE = "x" * 300


def plan(**changes: Any) -> Plan:
    found = Discarded(
        records=1_250, events=1_234,
        kinds=[EventCount("trade", "trading.trade.executed.v1", 1_200),
               EventCount("", "other.thing.happened.v1", 34)],
        first_at="2026-11-26T18:30:00.123456789Z", last_at="2026-11-26T19:00:00.000000000Z",
        sources={"app-1": 1_000, "app-2": 234},
        streams=40, stream_names=[f"trade/T-{number}" for number in range(20)],
        snapshot_first=1, snapshot_first_names=["trade/T-9"],
        split_units=7,
        splits=[SplitUnit(f"u-{number}", 1, 12, ["0:17"], [f"1:{n}" for n in range(10)])
                for number in range(7)],
        parked=ParkedTouched(3, 2, 1, ["trade/T-1", "trade/T-2"]), void=10, duplicates=6,
    )  # fmt: skip
    tables = [
        TableDifference("trades", 1, 2_000, 3, [
            RowSample("inserted", ["T-1"], {}, {"trade": "T-1", "note": WIDE, "price": None}),
            RowSample("changed", ["T-2", "x"], {"price": "1"}, {"price": "2\x1b[31m"}),
            RowSample("deleted", ["T-3"], {"trade": "T-3"}, {}),
        ], ["added"]),
        TableDifference("portfolio_positions"),
    ]  # fmt: skip
    made = Plan("trading", f"time {WIDE}", "0:200,1:99", "0:120,1:98", found, [], tables)
    return msgspec.structs.replace(made, **changes)


def shown(of: Plan) -> str:
    page = io.StringIO()
    show_plan(of, console=Console(file=page, width=120))
    return page.getvalue()


def test_a_plan_says_everything_in_80_columns() -> None:
    page = shown(plan())

    assert max(map(len, page.splitlines())) <= 80
    flat = " ".join(page.split())
    for said in (
        "position 0:120,1:98", "tables at 0:200,1:99",
        "set aside 1,234 events of 1,250 records (10 void already, 6 sent twice)",
        "recorded 2026-11-26 18:30:00.123 UTC to 2026-11-26 19:00:00.000 UTC",
        "trade trading.trade.executed.v1 1,200", "- other.thing.happened.v1 34",
        "app-1 1,000, app-2 234", "40: trade/T-0, trade/T-1", "and 32 more",
        "1: trade/T-9: begin with their first snapshot",
        "u-0: kept 0:17; set aside 1:0, 1:1", "and 2 more", "and 2 split units more",
        "3 events of 2: trade/T-1, trade/T-2", "stay parked 1 stream",
        "trades 1 2,000 3", "portfolio_positions 0 0 0", "trades: added",
        "+ trades T-1", "price=null", "~ trades T-2/x", "price: 1 → 2\\x1b[31m", "- trades T-3",
    ):  # fmt: skip
        assert said in flat, said


def test_a_plan_of_nothing_is_short() -> None:
    empty = Discarded(0, 0, [], None, None, {}, 0, [], 0, [], 0, [], ParkedTouched())

    page = shown(plan(discarded=empty, tables=None, target="the log's end"))

    assert page.splitlines() == [
        "target       the log's end", "position     0:120,1:98", "tables at    0:200,1:99",
        "set aside    0 events of 0 records",
    ]  # fmt: skip


def test_a_plan_is_one_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    show_plan(plan(), as_json=True)

    assert msgspec.json.decode(capsys.readouterr().out, type=Plan) == plan()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Standard input is a terminal; what is written to this end was typed."""
    typed, keyboard = pty.openpty()
    with os.fdopen(keyboard) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield typed
    os.close(typed)


def test_without_a_terminal_it_is_not_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))

    with pytest.raises(NotConfirmed) as refused:
        confirm(plan(only_streams=["trade/T-1", "trade/T-2"]))

    assert "sets 1,234 events aside of 2 streams" in refused.value.what
    assert "--yes" in refused.value.remedy


@pytest.mark.parametrize("answer", [b"y\n", b" YES \n"])
def test_on_a_terminal_it_asks_and_says_how_many_events(
    terminal: int, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    os.write(terminal, answer)

    confirm(plan())

    asked = capsys.readouterr().err
    assert asked.endswith("This sets 1,234 events aside. Go on? [y/N] ")
    assert "position     0:120,1:98" in asked


@pytest.mark.parametrize("answer", [b"n\n", b"\n", b"\x04", b"yesterday\n"])
def test_any_other_answer_is_no(terminal: int, answer: bytes) -> None:
    os.write(terminal, answer)

    with pytest.raises(NotConfirmed) as refused:
        confirm(plan())

    assert "nothing was changed" in refused.value.what
