-- Whether a table is partitioned, and by which ranges: one row a partition, one without where it
-- has none. Open ends and the default partition come as the ends of the months there may be.
SELECT
    parent.relkind = 'p',
    greatest(CASE WHEN bound.first IS NULL THEN %(begin)s ELSE bound.first::timestamptz END,
        %(begin)s),
    least(CASE WHEN bound.last IS NULL THEN %(end)s ELSE bound.last::timestamptz END, %(end)s),
    child.oid IS NOT NULL,
    pg_catalog.pg_current_xact_id_if_assigned()::text
FROM pg_catalog.pg_class AS parent
JOIN pg_catalog.pg_namespace AS space ON space.oid = parent.relnamespace
LEFT JOIN pg_catalog.pg_inherits AS family ON family.inhparent = parent.oid
LEFT JOIN pg_catalog.pg_class AS child ON child.oid = family.inhrelid
LEFT JOIN LATERAL (
    SELECT
        substring(text FROM $$FROM \('([^']+)'\)$$) AS first,
        substring(text FROM $$TO \('([^']+)'\)$$) AS last
    FROM pg_catalog.pg_get_expr(child.relpartbound, child.oid) AS text
) AS bound ON true
WHERE space.nspname = %(schema)s AND parent.relname = %(table)s
