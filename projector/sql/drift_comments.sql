-- Comments on a schema's tables, views and their columns, and on indexes; partitions aside.
SELECT c.relname,
    concat(CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'TABLE' WHEN 'v' THEN 'VIEW'
        WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'INDEX' END, ' ', quote_ident(c.relname)),
    d.description
FROM pg_catalog.pg_description AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('r', 'p', 'v', 'm', 'i', 'I')
    AND NOT c.relispartition AND d.objsubid = 0
UNION ALL
SELECT c.relname, concat('COLUMN ', quote_ident(c.relname), '.', quote_ident(a.attname)),
    d.description
FROM pg_catalog.pg_description AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objoid AND d.classoid = 'pg_class'::regclass
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.objsubid
WHERE c.relnamespace
        = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = %(schema)s)
    AND c.relkind IN ('r', 'p', 'v', 'm')
    AND NOT c.relispartition
ORDER BY 1, 2 DESC
