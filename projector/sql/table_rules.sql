-- What every row of a table must be, as conditions on the columns that are written.
WITH written AS (
    SELECT attnum, attname, attnotnull FROM pg_attribute
    WHERE attrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
        AND attnum > 0 AND attname = ANY(%(columns)s)
)
SELECT conname, pg_get_expr(conbin, conrelid) FROM pg_constraint
WHERE conrelid = to_regclass(format('%%I.%%I', %(schema)s::text, %(table)s::text))
    AND contype = 'c' AND conkey <@ (SELECT array_agg(attnum) FROM written)
UNION ALL
SELECT attname || ' not null', format('%%I IS NOT NULL', attname) FROM written WHERE attnotnull
