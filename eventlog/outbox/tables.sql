CREATE TABLE identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    format INTEGER NOT NULL,
    content BLOB NOT NULL,
    writer INTEGER NOT NULL DEFAULT 1 -- the file's generation: each adoption raises it
) STRICT;
CREATE TABLE lane (
    partition INTEGER PRIMARY KEY,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    epoch INTEGER NOT NULL
) STRICT;
CREATE TABLE event (
    row INTEGER PRIMARY KEY,
    partition INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    event BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_lane ON event (partition, seq);
CREATE TABLE command (
    row INTEGER PRIMARY KEY, -- of its first event
    id TEXT NOT NULL UNIQUE,
    recorded_s INTEGER NOT NULL, -- seconds since 1970
    content BLOB NOT NULL, -- SHA-256 of its events' types and data
    events BLOB NOT NULL -- JSON: [[row, event id, partition, seq, stream], ...]
) STRICT;
