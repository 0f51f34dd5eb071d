-- Who holds a lock on a schema's tables, the longest first.
SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), a.usename, 'unknown'),
    extract(epoch FROM clock_timestamp() - a.xact_start)::double precision AS seconds
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE n.nspname = %s AND l.granted AND l.database
    = (SELECT oid FROM pg_database WHERE datname = current_database()) AND a.pid <> pg_backend_pid()
ORDER BY seconds DESC NULLS LAST LIMIT 3
