-- Constraints of a schema's tables, partitions aside; NOT NULL stands with the columns.
SELECT c.relname, o.conname, pg_get_constraintdef(o.oid)
FROM pg_catalog.pg_constraint AS o
JOIN pg_catalog.pg_class AS c ON c.oid = o.conrelid
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    AND o.contype IN ('p', 'u', 'c', 'f', 'x')
ORDER BY c.oid, o.oid
