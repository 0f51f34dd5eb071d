-- Indexes of a schema's tables, partitions and constraints aside: what follows the table's name.
SELECT c.relname, x.relname, concat(
    CASE WHEN i.indisunique THEN 'UNIQUE ' END,
    substring(pg_get_indexdef(i.indexrelid) FROM ' (USING .*)$'),
    CASE WHEN NOT i.indisvalid THEN ' (INVALID)' END
)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.indrelid
JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('r', 'p', 'm') AND NOT c.relispartition
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS o WHERE o.conindid = i.indexrelid)
ORDER BY c.oid, x.oid
