WITH differing AS (
    SELECT {keys}, CASE WHEN l.{first_key} IS NULL THEN 'inserted'
        WHEN o.{first_key} IS NULL THEN 'deleted' ELSE 'changed' END AS change
    FROM {live} AS l FULL JOIN {other} AS o ON {same_key}
    WHERE ROW({left_row}) IS DISTINCT FROM ROW({right_row})
), ranked AS (
    SELECT *, count(*) OVER (PARTITION BY change) AS total,
        row_number() OVER (PARTITION BY change ORDER BY {key_order}) AS place
    FROM differing
)
-- LIMIT 1: each of the few rows is found by its key, and neither table is read a second time.
SELECT r.change, r.total, ARRAY[{key_texts}], ARRAY[{before}], ARRAY[{after}], ARRAY[{differ}]
FROM ranked AS r
LEFT JOIN LATERAL (SELECT * FROM {live} AS t WHERE {key_here} LIMIT 1) AS l ON true
LEFT JOIN LATERAL (SELECT * FROM {other} AS t WHERE {key_here} LIMIT 1) AS o ON true
WHERE r.place <= %(samples)s
ORDER BY r.change, r.place
