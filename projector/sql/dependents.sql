-- What outside of a schema holds on to its tables and views themselves, not to their names.
WITH inside AS (
    SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s
), space AS (
    SELECT oid FROM pg_namespace WHERE nspname = %(schema)s
)
SELECT DISTINCT format('%%s %%s', CASE v.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END,
    v.oid::regclass)
FROM pg_depend AS d
JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM inside)
    AND v.oid NOT IN (SELECT oid FROM inside)
UNION
SELECT format('foreign key %%I of %%s', k.conname, k.conrelid::regclass)
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM inside)
    AND k.conrelid NOT IN (SELECT oid FROM inside)
UNION
SELECT format('function %%s', f.oid::regprocedure)
FROM pg_depend AS d JOIN pg_proc AS f ON d.classid = 'pg_proc'::regclass AND f.oid = d.objid
WHERE ((d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM inside))
    OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (
        SELECT oid FROM pg_type WHERE typrelid IN (SELECT oid FROM inside)
    )))
    AND f.pronamespace NOT IN (SELECT oid FROM space)
UNION
SELECT format('publication %%I', p.pubname)
FROM pg_publication AS p JOIN pg_publication_rel AS m ON m.prpubid = p.oid
WHERE m.prrelid IN (SELECT oid FROM inside)
UNION
SELECT format('publication %%I', p.pubname)
FROM pg_publication AS p JOIN pg_publication_namespace AS m ON m.pnpubid = p.oid
WHERE m.pnnspid IN (SELECT oid FROM space)
UNION
SELECT format('policy %%I on %%s', y.polname, y.polrelid::regclass)
FROM pg_policy AS y WHERE y.polrelid IN (SELECT oid FROM inside)
ORDER BY 1
