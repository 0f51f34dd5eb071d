-- Partitions of a table which the index of that name does not reach yet.
SELECT c.relname
FROM pg_catalog.pg_class AS parent
JOIN pg_catalog.pg_inherits AS family ON family.inhparent = parent.oid
JOIN pg_catalog.pg_class AS c ON c.oid = family.inhrelid
WHERE parent.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND parent.relname = %(table)s
    AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        JOIN pg_catalog.pg_inherits AS part ON part.inhrelid = i.indexrelid
        JOIN pg_catalog.pg_class AS whole ON whole.oid = part.inhparent
        WHERE i.indrelid = c.oid AND whole.relname = %(index)s
            AND whole.relnamespace = parent.relnamespace
    )
ORDER BY c.relname
