-- Tables of a schema, partitions aside: how each is partitioned.
SELECT c.relname, NULL, coalesce('PARTITION BY ' || pg_get_partkeydef(c.oid), 'in one piece')
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition
ORDER BY c.oid
