"""What an operator may set: flags, then environment (`MEMFERRY_*`), then a TOML file.

`MEMFERRY_KAFKA_BOOTSTRAP` sets `bootstrap` in `[kafka]`, `MEMFERRY_SOURCE` sets `source`.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from schemas.errors import SettingsInvalid

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]


class Kafka(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the log is kept."""

    bootstrap: str = ""
    """Brokers, HOST:PORT, comma-separated. Empty: commands take the embedded stack's, where it
    runs; an app must be told."""
    partitions: Positive = 4
    """Of a new topic; fixed for the life of a topic generation. Ignored where the topic exists."""
    replication: Positive = 1
    """Copies of a new topic. Trap: with 1, the log is as safe as one broker's disk."""
    max_event_bytes: Positive = 1_000_000
    """Largest event, envelope included; must not exceed the topic's `max.message.bytes`."""
    timeout_ms: Positive = 15_000
    """Deadline of every call to a broker."""


class Postgres(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tables are."""

    dsn: str = ""
    """A libpq connection string; libpq's own PG* variables fill what it leaves out. Empty: commands
    take the embedded stack's, where it runs; an app then has no control connection."""
    connect_timeout_s: Positive = 10
    """Deadline of a connection attempt."""


class Outbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The durable local queue: one SQLite file a source, on a local disk."""

    path: str = "memferry-outbox.db"
    """Relative to the TOML file. Trap: a network file system breaks SQLite's locking."""
    queue_events: Positive = 50_000
    """Events that may wait for the disk before `record` blocks its caller; bounds memory."""


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way from the outbox to Kafka."""

    mode: Literal["thread", "process"] = "thread"
    """`thread`: inside the app. `process`: somebody runs `memferry relay` beside it."""
    batch_bytes: Positive = 256 * 1024
    """Upper bound of one Kafka batch before compression."""
    compression: Literal["none", "snappy", "zstd", "lz4"] = "snappy"
    """snappy is the quickest; zstd halves its bytes for four times the work. Trap: aiokafka's lz4
    compresses at level 9, the slowest of all."""


class Projector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way from Kafka to the tables."""

    batch_events: Positive = 10_000
    """Most events in one transaction: larger is faster when behind, smaller uses less memory."""
    fetch_bytes: Positive = 4 * 1024 * 1024
    """Most bytes in one fetch from one partition."""


class Migration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The ten phases, the fence around a switch, and reads."""

    max_downtime_ms: Positive = 1_000
    """The lease of a fence: writers stand still no longer, whoever dies. Trap: a cutover that does
    not find its barriers in the tables within it is aborted and tried again."""
    timeout_ms: Positive = 600_000
    """Longest that a phase may wait; for stop and copy also longest that writes are held."""
    cutover_attempts: Positive = 3
    """How often a cutover is tried before the migration is undone."""
    max_lag_events: Positive = 1_000
    """A cutover is prepared once the tables are no further behind than this."""


class Reads(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Reads of the app while they go to PostgreSQL."""

    timeout_ms: Positive = 10_000
    """Longest that a read waits for what was recorded before it, and for the database."""
    connections: Positive = 4
    """Most connections of one app for its reads."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an operator may set, checked."""

    source: str = ""
    """Name of this writing instance: one outbox, one source. Needed by the app and its relay."""
    topic: str = "memferry"
    """Base name of the topic; generation 1 is `<topic>.1` in Kafka, decisions `<topic>.control`."""
    domain: str = "schemas.trading"
    """Importable module with the `DOMAIN` whose events are recorded and projected."""
    projection: str = ""
    """Name of the projection and of its schema in PostgreSQL. Empty: the domain's name."""
    kafka: Kafka = Kafka()
    postgres: Postgres = Postgres()
    outbox: Outbox = Outbox()
    relay: Relay = Relay()
    projector: Projector = Projector()
    migration: Migration = Migration()
    reads: Reads = Reads()
    directory: str = "."
    """Where relative paths start; set from the TOML file's place."""

    @property
    def outbox_path(self) -> Path:
        """The outbox file's absolute path."""
        return (Path(self.directory) / self.outbox.path).resolve()


def load_settings(
    path: str | Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Return the settings of a TOML file under the environment's and then `overrides`' values.

    Shape:   overrides are dotted, `{"kafka.bootstrap": "127.0.0.1:9092"}`; None values are skipped.
    Raises:  SettingsInvalid naming the file and the setting.
    """
    raw: dict[str, Any] = {}
    if path is not None:
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # not TOML, or not UTF-8
            raise SettingsInvalid(
                f"the settings file cannot be read: {error}",
                where=str(path),
                remedy="name a TOML file, or leave it out and set MEMFERRY_* variables",
            ) from error
        raw.setdefault("directory", str(Path(path).resolve().parent))
    above = _from_environment() | {n: v for n, v in (overrides or {}).items() if v is not None}
    for name, value in above.items():
        _put(raw, name, value)
    try:
        settings = msgspec.convert(raw, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsInvalid(
            f"a setting is wrong: {error}",
            where=str(path or "environment and flags"),
            remedy="see docs/settings.md for every setting, its meaning and default",
        ) from error
    return settings


def _from_environment() -> dict[str, str]:
    found: dict[str, str] = {}
    for field in msgspec.structs.fields(Settings):
        nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        names = (
            [f"{field.name}.{inner.name}" for inner in msgspec.structs.fields(field.type)]
            if nested
            else [field.name]
        )
        for name in names:
            value = os.environ.get("MEMFERRY_" + name.replace(".", "_").upper())
            if value is not None:
                found[name] = value
    return found


def _put(raw: dict[str, Any], dotted: str, value: Any) -> None:
    section, dot, name = dotted.partition(".")
    if not dot:
        raw[section] = value
    elif isinstance(raw.setdefault(section, {}), dict):  # else it is refused as it stands
        raw[section][name] = value
