"""Shim, relay and projector on brokers that want TLS and a login; nobody tells the password."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

import eventlog
from eventlog.topic import BrokerUnreachable
from projector import log as projector_log
from schemas.errors import FerryError
from schemas.position import kafka_topic
from schemas.settings import Settings
from tests.eventlog.app import new_rings, opened
from tests.projector.projecting import project
from tests.secure_kafka import SecureKafka, secure_kafka

DEADLINE_S = 20.0


@pytest.fixture(scope="module")
def brokers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    with secure_kafka(tmp_path_factory.mktemp("secure")) as running:
        yield running


@pytest.fixture
def at(brokers: SecureKafka, make_settings: Callable[..., Settings]) -> Callable[..., Settings]:
    """Return settings that reach a listener; keywords replace Kafka settings."""

    def make(listener: str, **changes: Any) -> Settings:
        return make_settings(kafka=brokers.at(listener, **changes))

    return make


def record_and_close(settings: Settings) -> None:
    ferry = eventlog.attach(settings)
    ferry.register("account", {})
    ferry.register("reading", new_rings())
    try:
        for number in range(20):
            ferry.record(opened(str(number)))
        ferry.record(opened("last")).replicated(DEADLINE_S)
    finally:
        ferry.close(DEADLINE_S)


@pytest.mark.parametrize(
    ("listener", "changes"),
    [
        ("secure", {}),
        ("secure", {"sasl_mechanism": "PLAIN"}),
        ("mutual", {}),
    ],
    ids=["scram", "plain", "certificate"],
)
def test_what_is_recorded_arrives_in_the_tables(
    at: Callable[..., Settings],
    listener: str,
    changes: dict[str, Any],
    brokers: SecureKafka,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    settings = at(listener, **changes)

    with caplog.at_level(logging.DEBUG):
        record_and_close(settings)
        progress = asyncio.run(project(settings))

    with psycopg.connect(settings.postgres.dsn) as conn:
        found = conn.execute(f"SELECT count(*) FROM {settings.projection}.accounts").fetchone()
    assert found == (21,)
    said = caplog.text + "".join(capfd.readouterr()) + repr(settings) + repr(progress)
    assert brokers.password not in said


@pytest.mark.parametrize(
    ("listener", "changes", "cause"),
    [
        ("secure", {"username": "somebody"}, "SaslAuthenticationFailed"),
        ("secure", {"ca_file": "other-ca.pem"}, "CERTIFICATE_VERIFY_FAILED"),
        ("stranger", {}, "IP address mismatch"),
        ("secure", {"sasl_mechanism": ""}, "Unable"),
        ("broker", {"security": "tls"}, "Unable"),
    ],
    ids=["another user", "another authority", "another host", "no login", "a port without TLS"],
)
def test_who_is_not_trusted_is_not_spoken_to(
    at: Callable[..., Settings],
    listener: str,
    changes: dict[str, Any],
    cause: str,
    brokers: SecureKafka,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if "ca_file" in changes:
        changes = {"ca_file": str(brokers.directory / changes["ca_file"])}
    settings = at(listener, timeout_ms=1_500, **changes)

    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises((BrokerUnreachable, projector_log.BrokerUnreachable)) as caught,
    ):
        eventlog.attach(settings)

    assert cause in caplog.text
    assert "`kafka.security` must be what the brokers' port speaks" in caught.value.remedy
    assert brokers.password not in caplog.text + str(caught.value)


async def test_the_projector_refuses_what_the_shim_refuses(at: Callable[..., Settings]) -> None:
    settings = at("stranger", timeout_ms=1_500)

    with pytest.raises(projector_log.BrokerUnreachable) as caught:
        async with projector_log.Log(settings, kafka_topic(settings.topic, 1)):
            pass

    assert "certificate, user or password" in caught.value.remedy


def test_a_password_changed_behind_our_back_is_read_again(
    at: Callable[..., Settings], brokers: SecureKafka, tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.touch(mode=0o600)
    own.write_text("an old password")
    settings = at("secure", password_file=str(own), timeout_ms=1_500)
    with pytest.raises(FerryError):
        eventlog.attach(settings)

    own.write_text(brokers.password)

    record_and_close(msgspec.structs.replace(settings, source="app-2"))
