"""The catalog: what an app registered, described as it is now."""

import os
from collections.abc import Callable

from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.recorder import Recorder
from schemas.requests import CatalogAnswer, StoreDescription
from tests.domains.ledger import DOMAIN
from tests.eventlog.app import (
    DEADLINE_S,
    IDENTITY,
    App,
    account,
    closed,
    deposited,
    opened,
    readings,
    taken,
)

MakeApp = Callable[..., App]


def described(app: App) -> dict[str, tuple[int, int, int]]:
    """Return streams, entities and unrecorded streams by kind."""
    return {s.kind: (s.streams, s.entities, s.unrecorded) for s in app.ferry.describe().stores}


def test_an_app_is_described_by_its_containers(make_app: MakeApp) -> None:
    app = make_app(accounts={"a": account("a")}, rings={"m": readings("m", 1, 2)})

    found = app.ferry.describe()

    memory = [store.memory_bytes for store in found.stores]
    assert found == CatalogAnswer(
        "app-1",
        os.getpid(),
        [
            StoreDescription("account", "Account", "dict", 1, 1, 1, False, "account", memory[0]),
            StoreDescription(
                "reading", "Reading", "dict of deque", 1, 2, 1, True, "reading", memory[1]
            ),
        ],
        [],
    )
    assert all(100 < size < 5_000 for size in memory)


def test_what_is_in_the_log_is_counted_as_recorded(make_app: MakeApp) -> None:
    app = make_app(accounts={name: account(name) for name in "abc"}, rings={"m": readings("m", 1)})

    app.ferry.record(deposited("a", 1, 1))

    assert described(app) == {"account": (3, 3, 2), "reading": (1, 1, 1)}


def test_a_container_that_began_empty_is_in_the_log_whole(app: App) -> None:
    app.ferry.record_all([opened("a"), opened("b"), closed("a"), taken("m", 1)])

    assert described(app) == {"account": (1, 1, 0), "reading": (1, 1, 0)}


def test_after_the_first_snapshot_nothing_is_unrecorded(make_app: MakeApp) -> None:
    app = make_app(accounts={name: account(name) for name in "abc"}, rings={"m": readings("m", 1)})

    app.ferry.snapshot()

    assert app.ferry.snapshot_done.wait(DEADLINE_S)
    assert described(app) == {"account": (3, 3, 0), "reading": (1, 1, 0)}


def test_kinds_without_a_container_are_named(app: App) -> None:
    app.close()
    recorder = Recorder(SqliteOutbox(app.path, IDENTITY), DOMAIN, 1_000_000, 100)
    recorder.add_store("reading", {})

    found = recorder.describe()

    recorder.close(DEADLINE_S)
    assert [store.kind for store in found.stores] == ["reading"]
    assert found.unregistered == ["account"]
