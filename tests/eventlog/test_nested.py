"""A mutation that a mutation's own code would record is refused: it would be written over."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from eventlog.entry import MutationNested
from eventlog.outbox.sqlite import SqliteOutbox
from eventlog.shim import Ferry
from schemas.domain import Domain
from schemas.settings import Outbox, Settings
from tests.domains.ledger import ACCOUNT, READING
from tests.eventlog.app import DEADLINE_S, IDENTITY, opened, rows_of

Record = Callable[[Ferry], Any]


@pytest.mark.parametrize(
    "nested",
    [lambda ferry: ferry.record(opened("b")), lambda ferry: ferry.record_all([opened("b")])],
)
@pytest.mark.parametrize(
    "outer",
    [lambda ferry: ferry.record(opened("a")), lambda ferry: ferry.record_all([opened("a")])],
)
def test_a_mutation_from_inside_another_is_refused(
    outer: Record, nested: Record, tmp_path: Path
) -> None:
    path = tmp_path / "outbox.db"
    meddle = True

    def evolve(present: Any, event: Any) -> Any:
        if meddle:
            nested(ferry)
        return ACCOUNT.evolve(present, event)

    domain = Domain("ledger", (dataclasses.replace(ACCOUNT, evolve=evolve), READING), "")
    settings = Settings(source=IDENTITY.source, topic=IDENTITY.topic, outbox=Outbox(path=str(path)))
    ferry = Ferry(settings, SqliteOutbox(path, IDENTITY), domain)
    accounts: dict[str, Any] = {}
    ferry.register("account", accounts)

    with pytest.raises(MutationNested, match="from inside another one"):
        outer(ferry)
    refused = dict(accounts)
    meddle = False
    outer(ferry)

    ferry.close(DEADLINE_S)
    assert refused == {}
    assert list(accounts) == ["a"]
    assert [row.stream for row in rows_of(path)] == ["account/a"]
