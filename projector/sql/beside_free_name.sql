-- The lowest number that neither a schema nor a projection of these names has. One more than there
-- are of both is enough to find one.
SELECT %(projection)s || '__' || number FROM generate_series(1, 1
    + (SELECT count(*) FROM pg_namespace) + (SELECT count(*) FROM memferry.projection)) AS number
WHERE NOT EXISTS (
    SELECT FROM pg_namespace WHERE nspname = left(%(projection)s || '__' || number, 63)
) AND NOT EXISTS (
    SELECT FROM memferry.projection WHERE name = %(projection)s || '__' || number
)
ORDER BY number LIMIT 1
