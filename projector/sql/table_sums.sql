SELECT bucket, count(*), sum(substr(hash, 1, 8)::int8), sum(substr(hash, 9, 8)::int8)
-- OFFSET 0: the hash is computed once a row, not once a half.
FROM (SELECT {bucket} AS bucket, {hash} AS hash FROM {table} OFFSET 0) AS digested
GROUP BY bucket
