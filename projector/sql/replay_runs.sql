-- Whether somebody holds the lock of replay_lock.sql: its 64 bits stand in two columns.
SELECT EXISTS (
    SELECT FROM pg_locks AS l, hashtextextended('memferry replay ' || %s, 0) AS k
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid::bigint = (k >> 32) & 4294967295 AND l.objid::bigint = k & 4294967295
)
