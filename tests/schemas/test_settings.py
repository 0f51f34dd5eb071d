"""Settings: where a value comes from, and what is said of a wrong one."""

import os
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from schemas.errors import SettingsInvalid
from schemas.settings import Settings
from schemas.settings_file import load_settings


@pytest.fixture(autouse=True)
def no_settings_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("MEMFERRY_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "memferry.toml"
    path.write_text(
        'source = "app-1"\ntopic = "from-file"\n'
        '[kafka]\nbootstrap = "file:9092"\npartitions = 8\n'
        '[outbox]\npath = "data/outbox.db"\n'
    )
    return path


def test_a_file_says_what_it_says_and_the_rest_has_defaults(file: Path) -> None:
    settings = load_settings(file)

    assert (settings.source, settings.topic) == ("app-1", "from-file")
    assert (settings.kafka.bootstrap, settings.kafka.partitions) == ("file:9092", 8)
    assert settings.kafka.timeout_ms == Settings().kafka.timeout_ms
    assert settings.relay == Settings().relay


def test_without_a_file_there_are_defaults_alone() -> None:
    assert load_settings() == Settings()


def test_the_environment_goes_over_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFERRY_KAFKA_BOOTSTRAP", "environment:9092")
    monkeypatch.setenv("MEMFERRY_KAFKA_MAX_EVENT_BYTES", "5000")
    monkeypatch.setenv("MEMFERRY_TOPIC", "from-environment")

    settings = load_settings(file)

    assert settings.kafka.bootstrap == "environment:9092"
    assert settings.kafka.max_event_bytes == 5000
    assert settings.kafka.partitions == 8
    assert settings.topic == "from-environment"


def test_flags_go_over_the_environment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFERRY_KAFKA_BOOTSTRAP", "environment:9092")
    monkeypatch.setenv("MEMFERRY_SOURCE", "from-environment")

    settings = load_settings(file, {"kafka.bootstrap": "flag:9092", "source": None})

    assert settings.kafka.bootstrap == "flag:9092"
    assert settings.source == "from-environment"


@pytest.mark.parametrize("field", [f.name for f in msgspec.structs.fields(Settings)])
def test_every_setting_can_be_given_in_the_environment(
    field: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    default = getattr(Settings(), field)
    inner = default.__struct_fields__ if isinstance(default, msgspec.Struct) else ()
    types = get_type_hints(type(default)) if inner else {}
    for name in inner or [""]:
        present = getattr(default, name) if name else default
        choices = {c for c in get_args(types.get(name)) if isinstance(c, str)} - {present}
        number = "17" if isinstance(present, int | float) else "words"
        plain = str(not present).lower() if isinstance(present, bool) else number
        text = min(choices or {plain})
        monkeypatch.setenv("_".join(["MEMFERRY", field.upper(), name.upper()]).rstrip("_"), text)

    found = getattr(load_settings(), field)

    for name in inner or [""]:
        assert getattr(found, name) != getattr(default, name) if name else found != default


def test_relative_paths_start_where_the_file_is(file: Path) -> None:
    assert load_settings(file).outbox_path == file.parent / "data" / "outbox.db"


def test_an_absolute_path_stays_as_it_is(tmp_path: Path) -> None:
    settings = load_settings(overrides={"outbox.path": str(tmp_path / "o.db"), "directory": "x"})

    assert settings.outbox_path == tmp_path / "o.db"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'sorce = "app"', "`sorce`"),
        (b'[kafka]\nbrokers = "x"', "`brokers`"),
        (b"[kafka]\npartitions = 1.5", r"\$\.kafka\.partitions"),
        (b'[relay]\nmode = "both"', r"\$\.relay\.mode"),
        (b'kafka = "x"', r"\$\.kafka"),
        (b"[outbox]\nqueue_events = 0", r"\$\.outbox\.queue_events"),
        (b"[kafka]\npartitions = 0", r"\$\.kafka\.partitions"),
        (b"[kafka]\ntimeout_ms = 0", r"\$\.kafka\.timeout_ms"),
        (b"[migration]\nmax_downtime_ms = 0", r"\$\.migration\.max_downtime_ms"),
        (b"[migration]\ncutover_attempts = 0", r"\$\.migration\.cutover_attempts"),
        (b"[migration]\nmax_downtime = 5", "`max_downtime`"),
        (b"[reads]\nconnections = 0", r"\$\.reads\.connections"),
        (b"source", "cannot be read"),
        (b'source = "\xff"', "cannot be read"),
    ],
)
def test_a_wrong_setting_is_refused_by_its_name(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_bytes(content)

    with pytest.raises(SettingsInvalid, match=said) as caught:
        load_settings(path)

    assert caught.value.where == str(path)
    assert caught.value.remedy


def test_a_wrong_value_in_the_environment_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMFERRY_KAFKA_PARTITIONS", "many")

    with pytest.raises(SettingsInvalid, match=r"\$\.kafka\.partitions") as caught:
        load_settings()

    assert caught.value.where == "environment and flags"


def test_a_section_that_is_no_section_is_refused_under_flags_too(tmp_path: Path) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text('kafka = "x"')

    with pytest.raises(SettingsInvalid, match="kafka"):
        load_settings(path, {"kafka.bootstrap": "flag:9092"})


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="cannot be read") as caught:
        load_settings(tmp_path / "nowhere.toml")

    assert "nowhere.toml" in caught.value.where


@pytest.mark.parametrize("wrong", [{"nowhere": "x"}, {"kafka.nowhere": "x"}])
def test_an_unknown_flag_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsInvalid, match="nowhere"):
        load_settings(overrides=wrong)


def test_a_switch_may_take_as_long_as_the_settings_say(tmp_path: Path) -> None:
    path = tmp_path / "memferry.toml"
    path.write_text("[migration]\nmax_downtime_ms = 250\n[reads]\ntimeout_ms = 500\n")

    settings = load_settings(path, {"migration.timeout_ms": "5000"})

    assert (settings.migration.max_downtime_ms, settings.migration.timeout_ms) == (250, 5000)
    assert (settings.reads.timeout_ms, settings.reads.connections) == (500, 4)
