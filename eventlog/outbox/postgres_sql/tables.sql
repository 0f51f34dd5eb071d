-- One schema is one outbox: one source's events, as one SQLite file is.
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE {schema}.identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    format integer NOT NULL,
    content bytea NOT NULL,
    writer bigint NOT NULL DEFAULT 0,
    holder text NOT NULL DEFAULT '',
    last_row bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);
COMMENT ON COLUMN {schema}.identity.writer IS
    'rises with each opening: whoever opened it before can write no more';
COMMENT ON COLUMN {schema}.identity.last_row IS
    'moved by every append, compare-and-set: its lock puts appends into the order of their commits';
CREATE TABLE {schema}.lane (
    partition integer PRIMARY KEY,
    seq bigint NOT NULL,
    digest text NOT NULL,
    epoch bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE {schema}.event (
    number bigint PRIMARY KEY,
    partition integer NOT NULL,
    seq bigint NOT NULL,
    stream bytea NOT NULL,
    event bytea NOT NULL,
    UNIQUE (partition, seq)
);
COMMENT ON COLUMN {schema}.event.stream IS 'UTF-8; text would not hold every stream''s name';
CREATE TABLE {schema}.command (
    number bigint PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    content bytea NOT NULL,
    events bytea NOT NULL
);
COMMENT ON TABLE {schema}.command IS 'number: the row of its first event; id: UTF-8';
