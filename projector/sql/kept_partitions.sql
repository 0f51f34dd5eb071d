-- A table's partitions of all levels, as far as they are in its schema.
SELECT child.relname
FROM pg_catalog.pg_class AS parent
JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace
CROSS JOIN LATERAL pg_catalog.pg_partition_tree(parent.oid) AS tree
JOIN pg_catalog.pg_class AS child
    ON child.oid = tree.relid AND child.relnamespace = parent.relnamespace
WHERE space.nspname = %s AND parent.relname = %s AND tree.level > 0
ORDER BY child.relname
