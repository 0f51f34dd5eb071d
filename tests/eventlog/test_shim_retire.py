"""The end of a source: its last heads are in the log, and nothing comes after them."""

from collections.abc import Callable

import msgspec
import pytest

import eventlog
from eventlog.receipts import ReceiptTimeout
from eventlog.shim import Ferry, SourceIsRetired
from schemas import envelope
from schemas.control import SourceRetired, decode_control
from schemas.lane import CONTROL_PARTITION
from schemas.settings import Settings
from tests.eventlog.app import DEADLINE_S, App, BusyDisk, opened, rows_of
from tests.eventlog.broker import control_events, events_of

Attach = Callable[..., Ferry]


@pytest.fixture
def settings(kafka_settings: Settings) -> Settings:
    return kafka_settings


def test_a_retired_source_leaves_its_last_heads_and_takes_nothing_more(
    attach: Attach, settings: Settings
) -> None:
    ferry = attach()
    ferry.record_all([opened(str(number)) for number in range(20)])

    ferry.retire(DEADLINE_S)

    for attempt in (lambda: ferry.record(opened("x")), lambda: ferry.place_barrier("b", "audit")):
        with pytest.raises(SourceIsRetired, match="source 'app-1' is retired") as caught:
            attempt()
        assert "a `source` and an `outbox.path` of its own" in caught.value.remedy
    ferry.close(DEADLINE_S)
    lanes = events_of(settings)
    *_, retired = control_events(settings)
    assert retired == SourceRetired(
        "app-1",
        {p: (len(v), envelope.digest(v[-1])) for p, v in lanes.items() if p != CONTROL_PARTITION},
    )


def test_a_retired_source_does_not_come_back(attach: Attach, settings: Settings) -> None:
    ferry = attach()
    ferry.record(opened("a"))
    ferry.retire(DEADLINE_S)
    ferry.close(DEADLINE_S)

    for _ in range(2):
        with pytest.raises(SourceIsRetired):
            eventlog.attach(settings)

    new = msgspec.structs.replace(
        settings, source="app-2", outbox=msgspec.structs.replace(settings.outbox, path="new.db")
    )
    attach(new).record(opened("b")).replicated(DEADLINE_S)


def test_a_source_whose_disk_is_behind_is_not_retired_with_wrong_heads(app: App) -> None:
    with BusyDisk(app.path):
        app.ferry.record(opened("a"))

        with pytest.raises(ReceiptTimeout):
            app.ferry.retire(0.05)

    app.ferry.record(opened("b"))
    app.ferry.retire(DEADLINE_S)
    *_, last = rows_of(app.path)
    event = envelope.decode(last.event)
    retired = decode_control(event.type, event.data)
    assert isinstance(retired, SourceRetired)
    assert sum(seq for seq, _ in retired.heads.values()) == 2
