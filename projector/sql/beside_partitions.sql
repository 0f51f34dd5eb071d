-- A schema's partitions, parents first: whose each is, and for which values.
SELECT parent.relname, child.relname, pg_get_expr(child.relpartbound, child.oid)
FROM pg_class AS child
JOIN pg_inherits AS family ON family.inhrelid = child.oid
JOIN pg_class AS parent ON parent.oid = family.inhparent
JOIN pg_namespace AS space ON space.oid = child.relnamespace
WHERE space.nspname = %s AND child.relispartition AND child.relkind = 'r'
    AND parent.relnamespace = child.relnamespace
ORDER BY child.oid
