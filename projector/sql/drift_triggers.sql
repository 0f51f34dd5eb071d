-- Triggers of a schema's tables and views, partitions aside.
SELECT c.relname, g.tgname, pg_get_triggerdef(g.oid, true)
FROM pg_catalog.pg_trigger AS g
JOIN pg_catalog.pg_class AS c ON c.oid = g.tgrelid
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND NOT c.relispartition AND NOT g.tgisinternal
    -- Those that a migration has for its time: see kept_function.sql.
    AND g.tgname NOT LIKE 'memferry\_kept\_%%'
ORDER BY c.oid, g.oid
