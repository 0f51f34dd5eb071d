-- Returns a key that was not there, if any: behind this statement they are all gone.
WITH gone AS (
    DELETE FROM {table} AS live USING {stage} AS stage
    WHERE stage.memferry_op = 3 AND {match}
    RETURNING {live_key}
)
SELECT {key} FROM {stage} AS stage
WHERE stage.memferry_op = 3 AND NOT EXISTS (SELECT FROM gone AS live WHERE {match})
LIMIT 1
