from collections.abc import Callable
from pathlib import Path

import pytest

from compose.stack.ports import free_port
from tests.compose.cli.conftest import Done, Ledger


def toml(ledger: Ledger) -> str:
    settings = ledger.settings
    return f"""
        source = "{settings.source}"
        topic = "{settings.topic}"
        domain = "{settings.domain}"
        projection = "{settings.projection}"
        [kafka]
        bootstrap = "{settings.kafka.bootstrap}"
        [postgres]
        dsn = "{settings.postgres.dsn}"
        """


def test_settings_come_from_the_environment(
    projected: Ledger, memferry: Callable[..., Done]
) -> None:
    done = memferry("status", "--json", environment=projected.environment)

    assert (done.code, done.json()["projection"]) == (0, projected.settings.projection)


def test_settings_come_from_the_file_in_the_directory(
    projected: Ledger, memferry: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "memferry.toml").write_text(toml(projected))

    done = memferry("status", "--json")

    assert (done.code, done.json()["projection"]) == (0, projected.settings.projection)


@pytest.mark.parametrize("option", ["--config", "-c"])
def test_settings_come_from_the_file_that_is_named(
    projected: Ledger, memferry: Callable[..., Done], tmp_path: Path, option: str
) -> None:
    (tmp_path / "other.toml").write_text(toml(projected))

    done = memferry("status", option, "other.toml", "--json")

    assert (done.code, done.json()["projection"]) == (0, projected.settings.projection)


def test_the_environment_goes_before_the_file_and_flags_before_both(
    projected: Ledger, memferry: Callable[..., Done], tmp_path: Path
) -> None:
    wrong = toml(projected).replace(projected.settings.projection, "from_the_file")
    (tmp_path / "memferry.toml").write_text(wrong)
    environment = projected.environment | {"MEMFERRY_DOMAIN": "no.such.module"}

    by_environment = memferry("status", environment=environment)
    by_flag = memferry(
        "status", "--json", "--domain", projected.settings.domain, environment=environment
    )

    assert by_environment.code == 2
    assert "'no.such.module' cannot be imported" in by_environment.said
    assert (by_flag.code, by_flag.json()["projection"]) == (0, projected.settings.projection)


def test_a_file_that_is_no_toml_is_named_with_the_line(
    memferry: Callable[..., Done], tmp_path: Path
) -> None:
    (tmp_path / "memferry.toml").write_text('source = "app-1"\ntopic = = 7\n')

    done = memferry("status")

    assert done.code == 2
    assert "cannot be read" in done.said
    assert "line 2" in done.said
    assert "memferry.toml" in done.said


def test_a_file_that_is_not_there_is_named(memferry: Callable[..., Done]) -> None:
    done = memferry("status", "--config", "nowhere.toml")

    assert done.code == 2
    assert "nowhere.toml" in done.said


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("colour = 'red'", "unknown field `colour`"),
        ("[kafka]\nservers = 'a'", "unknown field `servers` - at `$.kafka`"),
        ("[kafka]\npartitions = 'many'", "`$.kafka.partitions`"),
        ("[relay]\nmode = 'pigeon'", "'pigeon' - at `$.relay.mode`"),
        ("postgres = 'here'", "`$.postgres`"),
    ],
)
def test_a_setting_that_is_wrong_is_named(
    memferry: Callable[..., Done], tmp_path: Path, content: str, said: str
) -> None:
    (tmp_path / "memferry.toml").write_text(content)

    done = memferry("status")

    assert done.code == 2
    assert "a setting is wrong" in done.said
    assert said in done.said
    assert "memferry.toml" in done.said


def test_a_variable_that_is_wrong_is_named(memferry: Callable[..., Done]) -> None:
    done = memferry("status", environment={"MEMFERRY_KAFKA_TIMEOUT_MS": "soon"})

    assert done.code == 2
    assert "kafka.timeout_ms" in done.said
    assert "environment" in done.said


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["audit"], ["replay", "--to-end"], ["savepoint", "list"], ["project"]],
    ids=" ".join,
)
def test_a_database_that_cannot_be_reached_is_named_without_its_password(
    ledger: Ledger, memferry: Callable[..., Done], arguments: list[str]
) -> None:
    port = free_port()
    dsn = f"postgresql://ada:canary-7f3a@127.0.0.1:{port}/books"
    environment = ledger.environment | {"MEMFERRY_POSTGRES_DSN": dsn, "MEMFERRY_LOG": "DEBUG"}

    done = memferry(*arguments, environment=environment)

    assert done.code == 2
    assert f"127.0.0.1:{port}" in done.said
    assert "canary-7f3a" not in done.out + done.err


def test_a_broker_that_cannot_be_reached_is_named(
    ledger: Ledger, memferry: Callable[..., Done]
) -> None:
    place = f"127.0.0.1:{free_port()}"
    environment = ledger.environment | {"MEMFERRY_KAFKA_BOOTSTRAP": place}

    done = memferry("project", "--until-end", environment=environment)

    assert done.code == 2
    assert place in done.said
    assert "memferry stack up" in done.said
