"""What a Kafka client is told, and what is refused before anything is sent."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import SettingsInvalid
from schemas.kafka_client import client_options, reach_remedy
from schemas.settings import Kafka, Settings

PASSWORD = "canary-in-the-file"


def settings(directory: Path, **kafka: Any) -> Settings:
    return Settings(kafka=Kafka(**kafka), directory=str(directory))


@pytest.fixture
def login(tmp_path: Path) -> dict[str, Any]:
    """Settings that log in with the password of a file."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(f"{PASSWORD}\n")
    return {
        "bootstrap": "kafka.example:9093",
        "security": "tls",
        "sasl_mechanism": "SCRAM-SHA-512",
        "username": "app",
        "password_file": "password",
    }


@pytest.mark.parametrize(
    "bootstrap", ["", "127.0.0.1:9092", "localhost:9092,127.1.2.3:1", "[::1]:9092", "::1:9092"]
)
def test_on_this_machine_plain_text_is_taken(bootstrap: str, tmp_path: Path) -> None:
    options = client_options(settings(tmp_path, bootstrap=bootstrap))

    assert options == {"bootstrap_servers": bootstrap}


@pytest.mark.parametrize("away", ["kafka:9092", "10.0.0.7:9092", "localhost.example:9092"])
def test_elsewhere_plain_text_is_refused_unless_it_is_asked_for(away: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="over the network unencrypted") as caught:
        client_options(settings(tmp_path, bootstrap=f"127.0.0.1:9092,{away}"))

    assert away in caught.value.where
    assert "127.0.0.1" not in caught.value.where
    assert 'kafka.security = "tls"' in caught.value.remedy
    wanted = settings(tmp_path, bootstrap=away, security="plaintext")
    assert client_options(wanted) == {"bootstrap_servers": away}


@pytest.mark.parametrize("security", ["", "plaintext"])
def test_a_password_never_crosses_a_network_as_it_is(
    security: str, login: dict[str, Any], tmp_path: Path
) -> None:
    given = settings(tmp_path, **login | {"security": security, "bootstrap": "127.0.0.1:9092"})

    with pytest.raises(SettingsInvalid, match="needs TLS"):
        client_options(given)


def test_tls_verifies_the_brokers_certificate_and_name(tmp_path: Path) -> None:
    options = client_options(settings(tmp_path, bootstrap="kafka.example:9093", security="tls"))

    context = options["ssl_context"]
    assert options["security_protocol"] == "SSL"
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.check_hostname
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert "sasl_mechanism" not in options


def test_a_login_goes_over_tls_with_the_password_of_the_file(
    login: dict[str, Any], tmp_path: Path
) -> None:
    given = settings(tmp_path, **login)

    options = client_options(given)

    assert options["security_protocol"] == "SASL_SSL"
    assert options["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("app", PASSWORD)
    assert PASSWORD not in repr(given)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_password_that_others_can_read_is_refused(
    mode: int, login: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "password").chmod(mode)

    with pytest.raises(SettingsInvalid, match="can be read by others") as caught:
        client_options(settings(tmp_path, **login))

    assert caught.value.remedy == f"chmod 600 {tmp_path / 'password'}"
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("missing", ["username", "password_file"])
def test_a_login_that_is_not_whole_is_named(
    missing: str, login: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid, match=f"`kafka.{missing}` is needed"):
        client_options(settings(tmp_path, **login | {missing: ""}))


def test_an_empty_password_is_refused(login: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "password").write_text("\n")

    with pytest.raises(SettingsInvalid, match="a password in it"):
        client_options(settings(tmp_path, **login))


@pytest.mark.parametrize("setting", ["ca_file", "cert_file", "password_file"])
def test_a_file_that_is_not_there_is_named(
    setting: str, login: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(SettingsInvalid, match="a file cannot be read") as caught:
        client_options(settings(tmp_path, **login | {setting: "nowhere.pem"}))

    assert caught.value.where == f"`kafka.{setting}`: {tmp_path / 'nowhere.pem'}"


@pytest.mark.parametrize("setting", ["ca_file", "cert_file"])
def test_a_file_that_is_no_certificate_is_named(setting: str, tmp_path: Path) -> None:
    (tmp_path / "odd.pem").write_text("nothing of the kind")

    with pytest.raises(SettingsInvalid, match="a certificate or key cannot be used"):
        client_options(settings(tmp_path, security="tls", **{setting: "odd.pem"}))


def test_a_key_without_its_certificate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"`kafka\.cert_file` is needed"):
        client_options(settings(tmp_path, security="tls", key_file="key.pem"))


def test_a_locked_key_is_refused_and_nobody_is_asked_for_its_passphrase(tmp_path: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-passout", "pass:secret", "-days", "2",
         "-subj", "/CN=client", "-keyout", "locked.key", "-out", "locked.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip

    with pytest.raises(SettingsInvalid, match="locked by a passphrase"):
        client_options(
            settings(tmp_path, security="tls", cert_file="locked.pem", key_file="locked.key")
        )


def test_who_is_not_answered_is_told_where_to_look() -> None:
    plain, secure = reach_remedy(Kafka()), reach_remedy(Kafka(security="tls"))

    assert "kafka.bootstrap" in plain
    assert "certificate" not in plain
    assert secure.startswith(plain)
    assert "certificate, user or password" in secure
