-- SQLite: the fold of a log, kept from one audit to the next. `rows` are the digests of an
-- entity's rows: table (1 byte), bucket (1), digest (16), one behind the other.
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS entity (
    kind INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    key BLOB NOT NULL,
    source TEXT NOT NULL,
    stream TEXT NOT NULL,
    windowed INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    last_offset INTEGER NOT NULL,
    state BLOB NOT NULL,
    rows BLOB NOT NULL,
    PRIMARY KEY (kind, partition, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entity_window ON entity (kind, partition, stream, ordinal)
    WHERE windowed;
CREATE TABLE IF NOT EXISTS total (
    partition INTEGER NOT NULL,
    source TEXT NOT NULL,
    table_name TEXT NOT NULL,
    sums BLOB NOT NULL,
    PRIMARY KEY (partition, source, table_name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS place (
    partition INTEGER PRIMARY KEY,
    next_offset INTEGER NOT NULL,
    tail TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS lane (
    source TEXT NOT NULL,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    PRIMARY KEY (source, partition)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS failure (
    stream TEXT PRIMARY KEY,
    what TEXT NOT NULL,
    place TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mark (
    source TEXT NOT NULL,
    partition INTEGER NOT NULL,
    mark BLOB NOT NULL,
    PRIMARY KEY (source, partition)
) WITHOUT ROWID;
