-- What roles may do with a schema, its relations and their columns, as statements to be completed:
-- what is granted, on what kind of thing, its name, its column, to whom, and whether to pass it on.
SELECT a.privilege_type, 'SCHEMA', NULL, NULL,
    CASE WHEN a.grantee = 0 THEN NULL ELSE a.grantee::regrole::text END, a.is_grantable
FROM pg_namespace AS n, aclexplode(n.nspacl) AS a
WHERE n.nspname = %(schema)s AND a.grantee <> n.nspowner
UNION ALL
SELECT a.privilege_type, 'TABLE', c.relname, NULL,
    CASE WHEN a.grantee = 0 THEN NULL ELSE a.grantee::regrole::text END, a.is_grantable
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(c.relacl) AS a
WHERE n.nspname = %(schema)s AND c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
    AND a.grantee <> c.relowner
UNION ALL
SELECT a.privilege_type, 'TABLE', c.relname, t.attname,
    CASE WHEN a.grantee = 0 THEN NULL ELSE a.grantee::regrole::text END, a.is_grantable
FROM pg_attribute AS t JOIN pg_class AS c ON c.oid = t.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace, aclexplode(t.attacl) AS a
WHERE n.nspname = %(schema)s AND NOT c.relispartition AND NOT t.attisdropped
    AND a.grantee <> c.relowner
