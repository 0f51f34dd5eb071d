"""A broker with certificates and passwords made for one run, and what clients need to reach it."""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from compose.stack.kafka import Kafka as Broker
from compose.stack.ports import HOST
from schemas.settings import Kafka

USER = "app"
_KEY = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
_PLAIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_{}="{}";'


class SecureKafka:
    """Listeners: `secure` and `stranger` (another host's certificate) want a password, `mutual` a
    certificate of the client's, `broker` nothing."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.password = f"canary-{secrets.token_hex(12)}"
        self.password_file = directory / "password"
        self.password_file.touch(mode=0o600)
        self.password_file.write_text(self.password + "\n")
        for name in ("ca", "other-ca"):
            _authority(directory, name)
        _signed(directory, "server", f"IP:{HOST},DNS:localhost")
        _signed(directory, "stranger", "DNS:elsewhere.example")
        _signed(directory, "client", "DNS:client.example")
        login = f"[name={USER},password={self.password}]"
        self.broker = Broker(
            directory,
            listeners={"SECURE": "SASL_SSL", "STRANGER": "SASL_SSL", "MUTUAL": "SSL"},
            settings=self._broker_settings(),
            format_arguments=("--add-scram", f"SCRAM-SHA-512={login}"),
        )

    def _broker_settings(self) -> dict[str, str]:
        found: dict[str, str] = {}
        keys = {"secure": "server", "stranger": "stranger", "mutual": "server"}
        for listener, key in keys.items():
            prefix = f"listener.name.{listener}."
            found |= {
                prefix + "ssl.keystore.type": "PEM",
                prefix + "ssl.keystore.location": str(self.directory / f"{key}.both.pem"),
                prefix + "ssl.truststore.type": "PEM",
                prefix + "ssl.truststore.location": str(self.directory / "ca.pem"),
                prefix + "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
                prefix + "scram-sha-512.sasl.jaas.config": _SCRAM,
                prefix + "plain.sasl.jaas.config": _PLAIN.format(USER, self.password),
            }
        return found | {"listener.name.mutual.ssl.client.auth": "required"}

    def at(self, listener: str, **changes: Any) -> Kafka:
        """Return what reaches a listener; keywords replace settings."""
        place = f"{HOST}:{self.broker.ports()[listener]}"
        known: dict[str, Any] = {"bootstrap": place, "timeout_ms": 5_000, "partitions": 2}
        if listener != "broker":
            known |= {"security": "tls", "ca_file": str(self.directory / "ca.pem")}
        if listener in ("secure", "stranger"):
            known |= {
                "sasl_mechanism": "SCRAM-SHA-512",
                "username": USER,
                "password_file": str(self.password_file),
            }
        if listener == "mutual":
            known |= {
                "cert_file": str(self.directory / "client.pem"),
                "key_file": str(self.directory / "client.key"),
            }
        return Kafka(**known | changes)


@contextmanager
def secure_kafka(directory: Path) -> Iterator[SecureKafka]:
    """A running one, stopped at the end."""
    made = SecureKafka(directory)
    try:
        made.broker.start(same_ports=False)
        yield made
    finally:
        made.broker.kill()


def _authority(directory: Path, name: str) -> None:
    _openssl(
        directory, "req", "-x509", "-newkey", *_KEY, "-nodes", "-days", "2",
        "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem",
    )  # fmt: skip


def _signed(directory: Path, name: str, hosts: str) -> None:
    _openssl(
        directory, "req", "-newkey", *_KEY, "-nodes", "-subj", f"/CN={name}",
        "-addext", f"subjectAltName={hosts}", "-keyout", f"{name}.key", "-out", f"{name}.csr",
    )  # fmt: skip
    _openssl(
        directory, "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.pem",
        "-CAkey", "ca.key", "-CAcreateserial", "-copy_extensions", "copy", "-out", f"{name}.pem",
    )  # fmt: skip
    both = directory / f"{name}.both.pem"
    both.touch(mode=0o600)
    both.write_text(
        (directory / f"{name}.key").read_text() + (directory / f"{name}.pem").read_text()
    )


def _openssl(directory: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=directory, check=True, capture_output=True)
