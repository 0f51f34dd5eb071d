from collections.abc import Callable

from schemas.settings import Settings
from tests.compose.cli.conftest import Done, Ledger, variables
from tests.eventlog.broker import events_of
from tests.projector.app import App


def test_a_dead_instances_outbox_is_brought_to_kafka_and_retired(
    ledger: Ledger, memferry: Callable[..., Done], make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings()
    app = App(settings)
    app.open("a", "b", "c")
    app.rows()
    in_use = memferry("adopt", environment=variables(settings))
    app.close()

    first = memferry("adopt", environment=variables(settings))
    last = memferry("adopt", "--retire", "--json", environment=variables(settings))
    late = memferry("adopt", environment=variables(settings))

    assert in_use.code == 2
    assert "memferry adopt --stopped" in in_use.said
    assert first.code == 0, first.err
    assert "4 events in Kafka, 4 of them sent now; writer 2" in " ".join(first.out.split())
    assert last.json() == {
        "source": "app-1", "writer": 3, "relayed": 1, "events": 5, "retired": True,
    }  # fmt: skip
    assert late.code == 2
    assert "is retired" in late.said
    assert sum(map(len, events_of(settings).values())) == 5
