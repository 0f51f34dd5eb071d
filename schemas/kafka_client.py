"""What every Kafka client is told by the settings: where brokers are, and how both sides are known.

Source: docs/relay.md, "Security".
"""

import ipaddress
import logging
import ssl
from pathlib import Path
from typing import Any

from schemas.errors import SettingsInvalid
from schemas.settings import Kafka, Settings


def client_options(settings: Settings) -> dict[str, Any]:
    """Return the keyword arguments by which an aiokafka client finds, trusts and convinces brokers.

    Raises: SettingsInvalid where a password or events would go over a network unencrypted, or a
            file cannot be used. A password is read here and kept nowhere.
    """
    kafka = settings.kafka
    options: dict[str, Any] = {"bootstrap_servers": kafka.bootstrap}
    if kafka.security != "tls":
        _require_plaintext_is_wanted(kafka)
        return options
    options |= {"security_protocol": "SSL", "ssl_context": _context(settings)}
    if kafka.sasl_mechanism:
        # At DEBUG aiokafka writes down what it sends, a PLAIN login included.
        logging.getLogger("aiokafka.conn").addFilter(_is_no_login)
        options |= {
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": _needed("username", kafka.username, kafka.sasl_mechanism),
            "sasl_plain_password": _password(settings),
        }
    return options


def reach_remedy(kafka: Kafka) -> str:
    """Return the next step where no broker answered."""
    remedy = "start it (`memferry stack up` for the embedded one) or correct `kafka.bootstrap`"
    if kafka.security == "tls":
        remedy += (
            "; aiokafka's own line in the log tells a certificate, user or password that was "
            "refused, and `kafka.security` must be what the brokers' port speaks"
        )
    return remedy


def _is_no_login(record: logging.LogRecord) -> bool:
    told = record.args if isinstance(record.args, tuple) else ()
    return not any(type(one).__name__.startswith("SaslAuthenticateRequest") for one in told)


def _require_plaintext_is_wanted(kafka: Kafka) -> None:
    if kafka.sasl_mechanism:
        raise SettingsInvalid(
            "`kafka.sasl_mechanism` needs TLS: a password must not cross a network as it is",
            where="[kafka] of the settings",
            remedy='set kafka.security = "tls" and name a TLS port in `kafka.bootstrap`',
        )
    away = [place for place in kafka.bootstrap.split(",") if place and not _is_loopback(place)]
    if away and kafka.security != "plaintext":
        raise SettingsInvalid(
            "events would go over the network unencrypted, to brokers that nobody has verified",
            where=f"`kafka.bootstrap`: {', '.join(away)}",
            remedy='set kafka.security = "tls"; or "plaintext" where that network may see them',
        )


def _is_loopback(place: str) -> bool:
    host = place.strip().rsplit(":", 1)[0].strip("[]")
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return False


def _context(settings: Settings) -> ssl.SSLContext:
    kafka = settings.kafka
    if kafka.key_file and not kafka.cert_file:
        _needed("cert_file", kafka.cert_file, "kafka.key_file")
    authority = _file(settings, "ca_file", kafka.ca_file) if kafka.ca_file else None
    try:
        context = ssl.create_default_context(cafile=authority)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if kafka.cert_file:
            key = _file(settings, "key_file", kafka.key_file) if kafka.key_file else None
            # A key that is locked would make OpenSSL ask on the terminal.
            context.load_cert_chain(
                _file(settings, "cert_file", kafka.cert_file), key, password=_no_password
            )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsInvalid(
            f"a certificate or key cannot be used: {error}",
            where="`kafka.ca_file`, `kafka.cert_file`, `kafka.key_file`",
            remedy="name PEM files; the key without a passphrase, readable by its owner alone",
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("the key is locked by a passphrase")


def _password(settings: Settings) -> str:
    name = settings.kafka.password_file
    path = _file(settings, "password_file", _needed("password_file", name, "kafka.sasl_mechanism"))
    if path.stat().st_mode & 0o077:
        raise SettingsInvalid(
            "the file with Kafka's password can be read by others",
            where=f"`kafka.password_file`: {path}",
            remedy=f"chmod 600 {path}",
        )
    password = path.read_text(encoding="utf-8").rstrip("\r\n")
    return _needed("password_file", password, "a password in it")


def _file(settings: Settings, setting: str, name: str) -> Path:
    path = (Path(settings.directory) / name).resolve()
    try:
        path.open("rb").close()
    except OSError as error:
        raise SettingsInvalid(
            f"a file cannot be read: {error.strerror}",
            where=f"`kafka.{setting}`: {path}",
            remedy="correct the setting, which is relative to the settings file's place, or the "
            "file's owner",
        ) from error
    return path


def _needed(setting: str, value: str, reason: str) -> str:
    if not value:
        raise SettingsInvalid(
            f"`kafka.{setting}` is needed: {reason}",
            where="[kafka] of the settings",
            remedy=f"set kafka.{setting}; docs/settings.md says what belongs there",
        )
    return value
