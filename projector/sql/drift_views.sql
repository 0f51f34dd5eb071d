-- Views of a schema: their queries.
SELECT c.relname, NULL, concat(
    CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' END, 'AS', pg_get_viewdef(c.oid)
)
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('v', 'm')
ORDER BY c.oid
