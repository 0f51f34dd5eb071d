"""Stages: a live app, a writer, a projector."""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from compose.stack import Stack
from schemas.settings import Backup, Kafka, Migration, Outbox, Postgres, Reads, Settings
from tests.projector.migration.stage import Stage

PATIENT = Migration(max_downtime_ms=8_000, timeout_ms=20_000)
"""Fences that hold on a busy machine."""
WITHOUT = Backup(before_migration=False)
"""Backups have tests of their own; each takes half a second of a run."""


@pytest.fixture
def make_stage(make_settings: Callable[..., Settings]) -> Iterator[Callable[..., Stage]]:
    """Return stages, which are cleared at the end; keywords replace fields of `migration`."""
    stages: list[Stage] = []

    def make(settings: Settings | None = None, **migration: Any) -> Stage:
        settings = settings or make_settings()
        patience = msgspec.structs.replace(PATIENT, **migration)
        reads = Reads(timeout_ms=30_000)
        changed = {"migration": patience, "reads": reads, "backup": WITHOUT}
        stages.append(Stage(msgspec.structs.replace(settings, **changed)))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(make_stage: Callable[..., Stage]) -> Stage:
    """An app that writes, and a projector beside it."""
    stage = make_stage()
    stage.project()
    stage.write()
    return stage


@pytest.fixture(scope="module")
def make_module_stage(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Stage]]:
    """Return one stage for a module's tests; a projector runs, nobody writes yet."""
    stages: list[Stage] = []

    def make() -> Stage:
        endpoints = stack.endpoints()
        assert endpoints is not None
        name = f"t{secrets.token_hex(5)}"
        settings = Settings(
            source="app-1", topic=name, domain="tests.domains.ledger", projection=name,
            kafka=Kafka(bootstrap=endpoints.kafka, partitions=3),
            postgres=Postgres(endpoints.postgres), outbox=Outbox(path="outbox.db"),
            migration=PATIENT, reads=Reads(timeout_ms=30_000), backup=WITHOUT,
            directory=str(tmp_path_factory.mktemp("stage")),
        )  # fmt: skip
        stages.append(Stage(settings))
        stages[-1].project()
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()
