CREATE TABLE identity (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    format INTEGER NOT NULL,
    content BLOB NOT NULL
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
