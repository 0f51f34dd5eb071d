-- Tables that are kept, with their size on disk; those of no savepoint were left by a kill.
SELECT b.name, b.savepoint, s.name IS NOT NULL, coalesce((
    SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = b.name AND c.relkind IN ('r', 'm')
), 0)::bigint
FROM memferry.beside AS b
LEFT JOIN memferry.savepoint AS s
    ON s.projection = b.projection AND s.name = b.savepoint AND s.dropped_at IS NULL
WHERE b.projection = %s AND b.purpose = 'savepoint'
ORDER BY b.made_at, b.name
