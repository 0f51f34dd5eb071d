import os
import signal
from collections.abc import Callable
from pathlib import Path

import msgspec

from schemas.settings import Outbox, Settings
from tests.compose.cli.conftest import Done, Ledger, Running, variables
from tests.projector.app import App
from tests.projector.waiting import until


def test_an_outbox_is_carried_into_the_topic_until_it_is_told_to_stop(
    ledger: Ledger,
    start: Callable[..., Running],
    memferry: Callable[..., Done],
    make_settings: Callable[..., Settings],
) -> None:
    settings = make_settings()
    ledger.broker.make_topics(settings)
    app = App(settings)
    app.open("a", "b", "c")
    app.rows()
    mark = Path(f"{settings.outbox_path}.mark")

    running = start("relay", environment=variables(settings))
    until(lambda: mark.exists() and mark.read_text().strip() == "4", "four rows in Kafka")
    os.kill(running.pid, signal.SIGTERM)
    done = running.done()
    app.close()

    assert done.code == 0
    projected = memferry("project", "--until-end", environment=variables(settings))
    assert "applied 3 events" in projected.said


def test_an_outbox_that_is_not_there_is_named(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    settings = msgspec.structs.replace(ledger.settings, outbox=Outbox(path="nowhere.db"))

    done = memferry("relay", environment=variables(settings))

    assert done.code == 2
    assert "there is no outbox file" in done.said
    assert "nowhere.db" in done.said
