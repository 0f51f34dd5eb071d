-- A partitioned table comes before its partitions.
SELECT c.relname, t.tgname, p.proname, c.relispartition
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = t.tgfoid
WHERE n.nspname = %s AND t.tgname LIKE 'memferry\_kept\_%%' AND NOT t.tgisinternal
ORDER BY c.relispartition, c.relname, t.tgname
