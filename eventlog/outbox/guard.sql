-- Of one connection: no lane moves on once another process has adopted the file.
PRAGMA temp_store = MEMORY;
CREATE TEMP TABLE own (writer INTEGER NOT NULL);
CREATE TEMP TRIGGER adopted BEFORE INSERT ON main.lane
WHEN (SELECT writer FROM main.identity) <> (SELECT writer FROM temp.own)
BEGIN
    SELECT RAISE(ABORT, 'the outbox was adopted');
END;
